# SPDX-License-Identifier: Apache-2.0
"""Taking a run back: what was recorded is restored, what someone changed since is left and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memir.errors import StateError
from memir.respond.journal import Journal, read_journal
from memir.respond.plan import Plan
from memir.respond.undo import Undone, undo
from tests.respond import shop
from tests.respond.strict_api import StrictApi
from tests.respond.worlds import SHA, only, run, take_back, without, world

POD = f"/api/v1/namespaces/shop/pods/{shop.WEB}"


def part(outcome: Undone) -> str:
    return outcome.change.rpartition(".")[2]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return without(shop.plan(tmp_path / "cluster"), "acquire", "collect", "snapshot-volumes", "isolate-node")


def test_in_reverse_to_what_was(plan: Plan, tmp_path: Path) -> None:
    server = shop.server()
    before = server.state()
    run(plan, tmp_path / "run", world(plan, server))
    told = list[Undone]()
    journal = Journal.resume(tmp_path / "run", SHA, [])
    outcomes = undo(plan, journal, world(plan, server), told.append)
    journal.close()
    assert outcomes == told
    assert [part(outcome) for outcome in outcomes] == [
        "fields", "2", "1", "labels", "label", "policy", "fields", "budget", "fields",
    ]  # fmt: skip
    assert not any(outcome.kept for outcome in outcomes)
    assert server.state() == before and server.refused == []
    assert read_journal(tmp_path / "run")[-1]["kept"] == []
    assert take_back(plan, tmp_path / "run", world(plan, server)) == []


def test_what_someone_changed_since_is_left(plan: Plan, tmp_path: Path) -> None:
    """The label that isolates is another one now: it is left, and the policy under it too."""
    server = shop.server()
    run(plan, tmp_path / "run", world(plan, server))
    server.objects[POD]["metadata"]["labels"]["memir/isolate"] = "theirs"
    outcomes = take_back(plan, tmp_path / "run", world(plan, server))
    kept = {part(each): each.words for each in outcomes if each.kept}
    words = "someone has changed it since: memir/isolate theirs is there, not memir/isolate memir-"
    assert kept["label"].startswith(words)
    assert kept["policy"].startswith("left, because isolate-pod-shop-web")
    assert "tier" in server.objects[POD]["metadata"]["labels"]
    (policy,) = [path for path in server.objects if "networkpolicies" in path]
    assert server.objects[policy]["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_a_policy_that_someone_changed_is_not_removed(plan: Plan, tmp_path: Path) -> None:
    server = shop.server()
    run(plan, tmp_path / "run", world(plan, server))
    (policy,) = [path for path in server.objects if "networkpolicies" in path]
    server.objects[policy]["spec"]["egress"] = [{}]
    server.objects[policy]["spec"]["policyTypes"] = ["Ingress"]
    kept = [each for each in take_back(plan, tmp_path / "run", world(plan, server)) if each.kept]
    assert [(part(each), each.words.partition(":")[0]) for each in kept] == [
        ("policy", "someone has changed it since")
    ]
    assert policy in server.objects


def test_a_pod_that_is_gone(plan: Plan, tmp_path: Path) -> None:
    """Its labels are gone with it; what was made beside it is removed."""
    server = shop.server()
    run(plan, tmp_path / "run", world(plan, server))
    del server.objects[POD]
    outcomes = take_back(plan, tmp_path / "run", world(plan, server))
    kept = [part(each) for each in outcomes if each.kept]
    assert kept == ["labels", "label", "fields"]
    assert not any("/networkpolicies/" in path or "/poddisruptionbudgets/" in path for path in server.objects)


def test_room_is_made_before_the_labels_return(tmp_path: Path) -> None:
    plan = only(shop.plan(tmp_path / "cluster", shop.API, accept_orphan=True), "detach")
    server, path = shop.server(), f"/api/v1/namespaces/shop/pods/{shop.API}"
    run(plan, tmp_path / "run", world(plan, server))
    assert "app" not in server.objects[path]["metadata"]["labels"]
    conditions = [{"type": "Ready", "status": "True"}]
    server.objects[path]["status"]["conditions"] = conditions
    count = len(server.requests)
    outcomes = take_back(plan, tmp_path / "run", world(plan, server))
    assert [(part(each), each.kept) for each in outcomes] == [
        ("room", False), ("labels", False), ("cost", True),
    ]  # fmt: skip
    assert [each for each in server.requests[count:] if each[0] == "PATCH"] == [
        ("PATCH", "/apis/apps/v1/namespaces/shop/deployments/api"), ("PATCH", path),
    ]  # fmt: skip
    assert server.objects["/apis/apps/v1/namespaces/shop/deployments/api"]["spec"]["replicas"] == 2
    assert server.objects[path]["metadata"]["labels"]["app"] == "api"


def test_a_server_that_says_yes_and_does_nothing(plan: Plan, tmp_path: Path) -> None:
    class Deaf(StrictApi):
        deaf = False

        def put(self, path: str, item: dict[str, Any]) -> None:
            if not self.deaf:
                super().put(path, item)

    server = Deaf()
    server.load(shop.items())
    run(plan, tmp_path / "run", world(plan, server))
    server.deaf = True
    with pytest.raises(StateError, match="the request was accepted, but unschedulable true is there"):
        take_back(plan, tmp_path / "run", world(plan, server))
