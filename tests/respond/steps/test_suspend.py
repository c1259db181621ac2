# SPDX-License-Identifier: Apache-2.0
"""Suspend: a pod on Fargate is stopped by hand, after everything else; what each owner then does."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from memir.respond.make import make_plan
from memir.respond.match import Query
from memir.respond.order import ORDERS
from memir.respond.steps.base import Facts
from memir.respond.steps.suspend import suspend
from tests.respond import shop


def test_what_its_owner_does(tmp_path: Path) -> None:
    facts = Facts("memir-1", shop.cluster(tmp_path))
    pods = {pod.name: pod for pod in facts.cluster.snapshot.pods.values()}
    step = suspend(facts, pods[shop.WEB])
    assert step.command[1] == f"kubectl -n shop delete pod {shop.WEB} --grace-period=1"
    assert (step.by, step.changes) == ("hand", ())
    assert step.undo == "Cannot be undone: a pod that was stopped does not come back."
    assert any("out of Service" in limit for limit in step.limits)
    assert "ReplicaSet" in step.limits[-1] and "makes another" in step.limits[-1]
    bare = suspend(facts, dataclasses.replace(pods[shop.WEB], owner=None))
    assert bare.limits[-1] == "nobody makes another: the pod has no owner"
    first = suspend(facts, dataclasses.replace(pods[shop.WEB], owner="StatefulSet/db"))
    assert first.limits[-1].startswith("StatefulSet db makes its replacement when this pod is gone")


def fargate() -> list[dict[str, Any]]:
    """The shop's web pod as EKS runs it on Fargate."""
    web = next(item for item in shop.items() if item["metadata"]["name"] == shop.WEB)
    web["metadata"]["labels"]["eks.amazonaws.com/fargate-profile"] = "shop"
    web["metadata"] |= {"name": "web-fargate", "uid": "00000000-0000-4000-8000-00000000000f"}
    web["spec"]["nodeName"] = "fargate-ip-10-0-0-9.eu-west-1.compute.internal"
    return [web, shop.service("every-web", {"app": web["metadata"]["labels"]["app"]})]


def test_a_plan_for_a_pod_on_fargate(tmp_path: Path) -> None:
    cluster = shop.cluster(tmp_path, *fargate(), shop.vpc_cni())
    plan = make_plan(cluster, Query(pods=["shop/web-fargate"]), {}, shop.MADE)
    assert [(node.kind, node.instance_id) for node in plan.nodes] == [("fargate", None)]
    steps = {step.kind: step for step in plan.steps}
    assert "no kernel memory: collect the pod in its place (memir collect fargate)" in steps["acquire"].limits
    assert any(limit.startswith("no snapshot") for limit in steps["acquire"].limits)
    assert any(limit.startswith("no isolation of the node and no cordon") for limit in steps["acquire"].limits)
    assert steps["isolate-pod"].refused == "NetworkPolicies do not bind pods on EKS Fargate: it would cut nothing"
    assert "nobody reaches a node of EKS Fargate" in steps["pause"].refused
    assert steps["collect"].command[2] == "fargate"
    assert steps["detach"].refused == "" and steps["detach"].changes
    assert not {"snapshot-volumes", "isolate-node", "cordon"} & steps.keys()
    order = [step.kind for step in plan.steps]
    assert order[-1] == "suspend" and order.index("collect") < order.index("detach")
    assert all(kinds[-1] == "suspend" for kinds, _ in ORDERS.values())
