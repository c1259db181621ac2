# SPDX-License-Identifier: Apache-2.0
"""Fields of an object: one PATCH of what was read, and of nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from memir.errors import NodeError, StateError
from memir.respond.actions.kube_fields import TRIES, KubeFields, pointer
from memir.respond.plan import Change
from tests.respond.strict_api import MERGE, StrictApi
from tests.respond.worlds import world

PATH = "/api/v1/nodes/n"
LABEL = pointer("metadata", "labels", "a/b~c")


def made(server: StrictApi, plan: Any = None, **change: Any) -> KubeFields:
    fields = {"uid": "u", "before": {LABEL: None}, "after": {LABEL: "1"}} | change
    place = world(plan or type("P", (), {"id": "memir-1"})(), server)
    return KubeFields(Change("c", "kube-fields", PATH, (), **fields), place)


@pytest.fixture
def server() -> StrictApi:
    strict = StrictApi()
    meta = {"name": "n", "uid": "u", "labels": {"other": "x"}}
    strict.put(PATH, {"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": {"podCIDR": "10.0.0.0/24"}})
    return strict


def test_set_and_taken_away(server: StrictApi) -> None:
    assert LABEL == "/metadata/labels/a~1b~0c"
    action = made(server)
    assert action.read() == {LABEL: None}
    action.apply({LABEL: None}, {LABEL: "1"})
    assert server.objects[PATH]["metadata"]["labels"] == {"other": "x", "a/b~c": "1"}
    action.restore({LABEL: "1"}, {LABEL: None})
    assert server.objects[PATH]["metadata"]["labels"] == {"other": "x"}
    assert server.objects[PATH]["spec"] == {"podCIDR": "10.0.0.0/24"}
    assert server.refused == []


def test_the_request(server: StrictApi, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, str, Any, str]] = []
    real = server.answer

    def answer(method: str, url: str, body: str, content_type: str) -> Any:
        sent.append((method, url, json.loads(body or "null"), content_type))
        return real(method, url, body, content_type)

    monkeypatch.setattr(server, "answer", answer)
    version = server.objects[PATH]["metadata"]["resourceVersion"]
    made(server).apply({LABEL: None}, {LABEL: "1"})
    assert sent == [
        ("GET", PATH, None, ""),
        ("PATCH", PATH, {"metadata": {"uid": "u", "resourceVersion": version, "labels": {"a/b~c": "1"}}}, MERGE),
    ]


def test_gone_and_another(server: StrictApi) -> None:
    with pytest.raises(StateError, match="is another object now: its UID is u, the plan is for other"):
        made(server, uid="other").read()
    server.objects.clear()
    with pytest.raises(StateError, match="/api/v1/nodes/n is gone"):
        made(server).read()


def test_conflicts_have_an_end(server: StrictApi) -> None:
    server.before_patch = lambda path: server.put(path, server.objects[path])
    with pytest.raises(NodeError, match="failed with 409"):
        made(server).apply({LABEL: None}, {LABEL: "1"})
    assert [method for method, _ in server.requests].count("PATCH") == TRIES
