# SPDX-License-Identifier: Apache-2.0
"""Every kind of change has its class."""

from __future__ import annotations

from typing import get_args

from memir.respond.actions.base import Action
from memir.respond.actions.registry import ACTIONS, action_of
from memir.respond.plan import ActionKind, Change


def test_every_kind() -> None:
    assert set(ACTIONS) == set(get_args(ActionKind))
    for kind in ACTIONS:
        made = action_of(Change("a", kind, "x", ()), None)  # type: ignore[arg-type]  # nothing is reached
        assert isinstance(made, Action) and type(made).__name__ == ACTIONS[kind][1]
