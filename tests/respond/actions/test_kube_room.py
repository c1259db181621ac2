# SPDX-License-Identifier: Apache-2.0
"""Room for a suspect that returns: one more, and refused where the pod would be the one to go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memir.errors import StateError
from memir.respond.actions.kube_room import REPLICAS, KubeRoom, ready
from tests.respond import shop
from tests.respond.strict_api import StrictApi
from tests.respond.worlds import world

POD = f"/api/v1/namespaces/shop/pods/{shop.API}"
OWNER = "/apis/apps/v1/namespaces/shop/replicasets/api-8489696577"
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/api"


def made(tmp_path: Path, server: StrictApi) -> KubeRoom:
    plan = shop.plan(tmp_path, shop.API, accept_orphan=True)
    change = next(change for step in plan.steps for change in step.changes if change.kind == "kube-room")
    assert (change.target, change.needs["pod"], change.needs["owner"]) == (DEPLOYMENT, POD, OWNER)
    return KubeRoom(change, world(plan, server))


def test_one_more_at_undo_alone(tmp_path: Path) -> None:
    server = shop.server()
    action = made(tmp_path, server)
    state = action.read()
    assert (state, action.goal(state), action.unexpected(state)) == ({REPLICAS: 1}, {REPLICAS: 1}, "")
    assert action.between({REPLICAS: 5}, state, state)  # somebody scaled it meanwhile: theirs
    assert action.undo_goal({REPLICAS: 5}, state) == {REPLICAS: 6}
    action.restore({REPLICAS: 1}, {REPLICAS: 2})
    assert server.objects[DEPLOYMENT]["spec"]["replicas"] == 2
    assert not action.same({REPLICAS: 1}, {REPLICAS: 2}) and action.undo_first
    with pytest.raises(StateError, match="no count of replicas any more"):
        action.restore({REPLICAS: None}, {REPLICAS: 2})
    assert action.unexpected({REPLICAS: None}) == "the workload has no count of replicas"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("gone", "the pod is gone"), ("other", "the pod is gone, another one has its name"),
        ("rolled", "the workload was rolled out or scaled to nothing since"), ("unready", "the pod is not ready"),
        ("fine", ""), ("free", ""),
    ],
)  # fmt: skip
def test_when_it_would_not_live(tmp_path: Path, what: str, words: str) -> None:
    server = shop.server()
    action = made(tmp_path, server)
    pod: dict[str, Any] = server.objects[POD]
    pod["status"]["conditions"] = [{"type": "Ready", "status": "False" if what == "unready" else "True"}]
    if what == "gone":
        del server.objects[POD]
    elif what == "other":
        pod["metadata"]["uid"] = "other"
    elif what == "rolled":
        server.objects[OWNER]["spec"]["replicas"] = 0
    elif what == "free":
        del server.objects[OWNER]
    assert action.cannot_undo({}, {}).startswith(words) and bool(action.cannot_undo({}, {})) is bool(words)


def test_ready() -> None:
    assert ready({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    assert not ready({}) and not ready({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})
