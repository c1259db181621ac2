# SPDX-License-Identifier: Apache-2.0
"""Detach: the fewest labels, the owner kept where it can be, and what undo can do about each owner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memir.respond.cluster import Cluster
from memir.respond.plan import Step
from memir.respond.steps.base import Facts, Options
from memir.respond.steps.detach import COST, HIGHEST, detach, labels_to_take
from tests.respond import shop

NO_CNI = (shop.service("web", {"app": "web"}), shop.service("api", {"app": "api"}))


def step(path: Path, name: str = shop.WEB, *extra: dict[str, Any], **options: Any) -> Step:
    facts = Facts("memir-0123abcd", shop.cluster(path, *extra), Options(**options))
    return detach(facts, next(pod for pod in facts.cluster.snapshot.pods.values() if pod.name == name))


@pytest.mark.parametrize(
    ("services", "owned", "taken"),
    [
        ([{"app": "a", "tier": "b"}], {"app": "a"}, ["tier"]),
        ([{"app": "a"}], {"app": "a"}, ["app"]),
        ([{"app": "a", "tier": "b"}, {"tier": "b"}], {"app": "a"}, ["tier"]),
        ([{"x": "1"}, {"y": "1"}], {}, ["x", "y"]),
        ([], {"app": "a"}, []),
    ],
)
def test_the_fewest_labels(services: list[dict[str, str]], owned: dict[str, str], taken: list[str]) -> None:
    assert labels_to_take(services, owned) == taken


def test_a_label_of_the_service_alone(tmp_path: Path) -> None:
    made = step(tmp_path)
    assert [(change.kind, change.before, change.after) for change in made.changes] == [
        ("kube-fields", {"/metadata/labels/tier": "front"}, {"/metadata/labels/tier": None})
    ]
    assert (made.refused, made.undo) == ("", "The labels are given back; the owner never changed.")


def test_an_orphan_under_vpc_cni_is_refused_unless_accepted(tmp_path: Path) -> None:
    refused = step(tmp_path, shop.API)
    assert "VPC CNI may no longer bind its isolation" in refused.refused and refused.changes == ()
    accepted = step(tmp_path, shop.API, accept_orphan=True)
    assert [change.id.rpartition(".")[2] for change in accepted.changes] == ["cost", "room", "labels"]
    cost, room, labels = accepted.changes
    assert cost.after == {"/metadata/annotations/" + COST.replace("/", "~1"): HIGHEST} and cost.irreversible
    assert (room.target, room.before) == ("/apis/apps/v1/namespaces/shop/deployments/api", {"/spec/replicas": 1})
    assert (labels.before, labels.irreversible) == ({"/metadata/labels/app": "api"}, "")
    assert "The count stays one higher" in accepted.undo
    assert "get replicasets.apps in shop" in [right.words() for right in accepted.permissions]


def test_owners_whose_count_is_anothers(tmp_path: Path) -> None:
    scaler = {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}},
    }  # fmt: skip
    made = step(tmp_path, shop.WEB, *NO_CNI, scaler)
    assert made.undo.startswith("Cannot be undone without risk, because HorizontalPodAutoscaler web owns the count")
    assert [bool(change.irreversible) for change in made.changes] == [True]
    uid = "af3b131b-98c8-4fad-8290-2fea6585bd35"
    job = step(tmp_path, shop.MIGRATE, shop.service("m", {"batch.kubernetes.io/controller-uid": uid}))
    assert job.undo.startswith("Cannot be undone without risk, because a Job that adopts the pod again")
    assert step(tmp_path, shop.MIGRATE, shop.service("m", {"job-name": "migrate"})).changes[0].irreversible == ""


def test_bare_pods_daemons_and_no_service(tmp_path: Path) -> None:
    bare = step(tmp_path, "toolbox", shop.service("t", {"run": "toolbox"}))
    assert [change.irreversible for change in bare.changes] == [""]
    none = step(tmp_path, shop.LEDGER)
    assert (none.changes, none.limits[0]) == ((), "no Service selects the pod: there is nothing to take it out of")
    daemon = shop.service("d", {"app": "node-agent"})
    daemon["metadata"]["namespace"] = "kube-system"
    made = step(tmp_path, "node-agent-2zlxg", daemon)
    assert "keeps the oldest of its pods on the node" in made.undo
    assert [change.kind for change in made.changes] == ["kube-fields"]


def test_facts_that_lack(tmp_path: Path) -> None:
    import json

    pods = [item for item in shop.recorded() if item["kind"] == "Pod"]
    (tmp_path / "pods.json").write_text(json.dumps({"kind": "List", "items": pods}))
    facts = Facts("memir-1", Cluster.load(tmp_path / "pods.json"))
    made = detach(facts, next(pod for pod in facts.cluster.snapshot.pods.values() if pod.name == shop.WEB))
    assert [fact.split(":")[0] for fact in made.unresolved] == [
        "which Services select the pod", "which labels ReplicaSet web-7bf68f75d5 selects",
    ]  # fmt: skip
    assert made.changes == ()
