# SPDX-License-Identifier: Apache-2.0
"""An object of ours: made once, recognised by its mark and content, removed by its UID."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import StateError
from memir.respond.actions.kube_object import PLAN, KubeObject
from memir.respond.plan import Change
from tests.respond import shop
from tests.respond.strict_api import StrictApi
from tests.respond.worlds import world


def made(tmp_path: Path, server: StrictApi) -> KubeObject:
    plan = shop.plan(tmp_path)
    step = next(step for step in plan.steps if step.kind == "isolate-pod")
    return KubeObject(step.changes[0], world(plan, server))


def test_made_and_removed(tmp_path: Path) -> None:
    server = shop.server()
    action = made(tmp_path, server)
    absent = action.read()
    assert (absent, action.unexpected(absent)) == ({"present": False}, "")
    action.apply(absent, action.goal(absent))
    state = action.read()
    assert action.same(state, action.goal(absent)) and not action.same(state, absent)
    item = server.objects[action.change.target]
    assert item["metadata"]["annotations"] == {PLAN: action.world.plan_id}
    item["spec"]["ingress"] = []  # a server's default
    assert action.read()["ours"] is True
    action.restore(action.read(), absent)
    assert action.read() == absent and server.refused == []


def test_one_that_is_not_ours(tmp_path: Path) -> None:
    server = shop.server()
    action = made(tmp_path, server)
    action.apply({}, {})
    server.objects[action.change.target]["metadata"]["annotations"] = {PLAN: "memir-other"}
    state = action.read()
    assert (state["present"], state["ours"]) == (True, False)
    assert "is there already and is not this plan's" in action.unexpected(state)
    assert action.cannot_undo(state, {"present": False}) == "someone has changed it since"


def test_a_manifest_that_is_none(tmp_path: Path) -> None:
    action = KubeObject(Change("a", "kube-object", "/x/y", (), manifest="- 1"), made(tmp_path, shop.server()).world)
    with pytest.raises(StateError, match="the plan's manifest is no object"):
        action.apply({}, {})
