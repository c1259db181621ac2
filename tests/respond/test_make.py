# SPDX-License-Identifier: Apache-2.0
"""Plans made from a view: which steps, in which order, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memir.errors import UsageError
from memir.respond import make
from memir.respond.make import make_plan
from memir.respond.match import Query
from memir.respond.order import ORDERS
from tests.respond import shop
from tests.respond.worlds import AWS


def kinds(path: Path, query: Query, *extra: dict[str, Any], **more: Any) -> list[str]:
    """Of the steps in Kubernetes; those in AWS are of test_resolve.py."""
    plan = make_plan(shop.cluster(path, *extra), query, {"x": "y"}, shop.MADE, **more)
    return [step.kind for step in plan.steps if not step.id.startswith(AWS)]


def test_memory_before_isolation(tmp_path: Path) -> None:
    ours = kinds(tmp_path, Query(pods=[f"shop/{shop.WEB}"]))
    assert [kind for kind in ours if kind not in ("snapshot-volumes", "isolate-node")] == [
        "hold", "hold", "acquire", "collect", "isolate-pod", "detach", "revoke", "pause", "cordon",
    ]  # fmt: skip
    aws = kinds(tmp_path, Query(pods=[f"shop/{shop.WEB}"]), order="aws")
    assert aws.index("isolate-pod") < aws.index("cordon") < aws.index("acquire") < aws.index("pause")
    assert sorted(aws) == sorted(ours)
    assert all(set(order) == set(ORDERS["aws"][0]) for order, _ in ORDERS.values())


def test_two_pods_of_a_node_are_held_each_and_the_node_once(tmp_path: Path) -> None:
    ours = kinds(tmp_path, Query(workloads=["shop/Deployment/web"]))
    assert (ours.count("hold"), ours.count("acquire"), ours.count("isolate-pod"), ours.count("cordon")) == (3, 1, 2, 1)
    assert ours.count("revoke") == 1  # one account


def test_a_node_alone(tmp_path: Path) -> None:
    ours = kinds(tmp_path, Query(nodes=[shop.NODE]))
    assert [kind for kind in ours if kind not in ("snapshot-volumes", "isolate-node")] == ["hold", "acquire", "cordon"]


def test_fargate_is_told(tmp_path: Path) -> None:
    node = {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "fargate-1", "labels": {"eks.amazonaws.com/compute-type": "fargate"}},
    }  # fmt: skip
    plan = make_plan(shop.cluster(tmp_path, node), Query(nodes=["fargate-1"]), {}, shop.MADE)
    assert [(step.kind, step.refused) for step in plan.steps] == [
        ("acquire", "EKS Fargate gives no access to the node, its kernel memory or a privileged pod")
    ]


def test_ids_differ_and_are_the_same_for_the_same(tmp_path: Path) -> None:
    cluster, query = shop.cluster(tmp_path), Query(nodes=[shop.NODE])
    ids = {make_plan(cluster, query, {"node": name}, made).id for name in "ab" for made in ("1", "2")}
    assert len(ids) == 4 and make_plan(cluster, query, {"node": "a"}, "1").id in ids


def test_too_many_pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "MAX_PODS", 1)
    with pytest.raises(UsageError, match="2 pods match, more than 1: plan for a node"):
        kinds(tmp_path, Query(workloads=["shop/Deployment/web"]))


def test_auto_mode_is_told(tmp_path: Path) -> None:
    """What EC2's lock refuses stands in the plan, with what there is in its place; RAM goes by a pod."""
    labels = {"eks.amazonaws.com/compute-type": "auto"}
    node = {
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "auto-1", "labels": labels},
        "spec": {"providerID": "aws:///eu-west-1a/i-0a"},
    }  # fmt: skip
    plan = make_plan(shop.cluster(tmp_path, node), Query(nodes=["auto-1"]), {}, shop.MADE)
    refused = {step.id: step.refused.partition(":")[0] for step in plan.steps if step.refused}
    names = ("hold-instance", "snapshot-volumes", "revoke-profile", "isolate-node")
    assert refused == {f"{name}-auto-1": "EKS Auto Mode locks what it would change" for name in names}
    assert plan.unresolved() == [] and [step.changes for step in plan.steps if step.refused] == [()] * 4
    assert [step.command[2] for step in plan.steps if step.kind == "acquire"] == ["pod"]
    assert [step.id for step in plan.steps if step.changes] == ["hold-node-auto-1", "acquire-auto-1", "cordon-auto-1"]
    (take,) = [step for step in plan.steps if step.kind == "acquire"]
    assert any(limit.startswith("its Bottlerocket has swap on") for limit in take.limits)
