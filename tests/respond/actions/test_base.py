# SPDX-License-Identifier: Apache-2.0
"""What an action does unless its kind says otherwise, and states in words."""

from __future__ import annotations

from typing import Any

import pytest

from memir.respond.actions.base import Action, show
from memir.respond.plan import Change
from tests.respond.worlds import SHA

CHANGE = Change("a", "kube-fields", "/x", (), before={"/x": None}, after={"/x": ("1", "2")})


def action(change: Change = CHANGE) -> Action:
    return Action(change, None)  # type: ignore[arg-type]  # nothing is reached


def test_goal_and_surprise() -> None:
    made = action()
    assert made.goal({}) == {"/x": ["1", "2"]}
    assert made.unexpected({"/x": None}) == made.unexpected({"/x": ["1", "2"]}) == ""
    assert made.unexpected({"/x": "3"}) == "x 3 is there, where the plan saw x not set"
    assert made.undo_goal({"/x": "3"}, {"/x": None}) == {"/x": None}
    assert (made.between({}, {}, {}), made.cannot_undo({}, {})) == (False, "")
    for call in (made.read, lambda: made.apply({}, {}), lambda: made.restore({}, {})):
        with pytest.raises(NotImplementedError):
            call()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"/metadata/labels/memir~1incident": "a"}, "memir/incident a"),
        ({"/spec/unschedulable": None, "x": True}, "unschedulable not set, x true"),
        ({"/subjects": [{"kind": "User", "name": "x"}]}, "subjects [User/x]"),
        ({"groups": [], "n": 3}, "groups [], n 3"),
    ],
)
def test_states_in_words(state: dict[str, Any], words: str) -> None:
    assert show(state) == words
    assert len(SHA) == 64
