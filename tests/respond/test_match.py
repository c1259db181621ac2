# SPDX-License-Identifier: Apache-2.0
"""Which pods and nodes a query names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from memir.errors import UsageError
from memir.respond.cluster import Cluster
from memir.respond.match import Clue, Query, match, node_target, pod_target
from tests.respond import shop

WEBS = [shop.WEB, "web-7bf68f75d5-rqltp"]


def names(query: Query, cluster: Cluster) -> list[str]:
    return [pod.name for pod, _ in match(cluster, query).pods]


def test_each_way_of_naming(tmp_path: Path) -> None:
    cluster = shop.cluster(tmp_path)
    web = next(pod for pod in cluster.snapshot.pods.values() if pod.name == shop.WEB)
    image = web.containers[0].image or ""
    assert names(Query(pods=[f"shop/{shop.WEB}"]), cluster) == [shop.WEB]
    assert names(Query(workloads=["shop/Deployment/web"]), cluster) == WEBS
    assert names(Query(workloads=["shop/replicaset/web-7bf68f75d5"]), cluster) == WEBS
    assert names(Query(service_accounts=["shop/default"]), cluster) == [shop.MIGRATE, "toolbox", *WEBS]
    assert set(WEBS) <= set(names(Query(images=[image]), cluster))
    assert set(WEBS) <= set(names(Query(images=[image.rpartition(":")[0]]), cluster))
    assert names(Query(nodes=[shop.NODE]), cluster) == []
    assert [node.name for node in match(cluster, Query(nodes=[shop.NODE])).nodes] == [shop.NODE]
    matches = match(cluster, Query(pods=[f"shop/{shop.WEB}"], workloads=["shop/Deployment/web"]))
    assert [reason for _, reason in matches.pods] == [f"--pod shop/{shop.WEB}", "--workload shop/Deployment/web"]
    target = pod_target(web, "why", "arn:role")
    assert (target.owner, target.workload, target.role, target.images[0]) == (
        "ReplicaSet/web-7bf68f75d5", "Deployment/web", "arn:role", image,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Query(pods=["web"]), "--pod 'web': write NAMESPACE/NAME"),
        (Query(pods=["shop/none"]), "--pod shop/none: no pod of the cluster's view matches; it has kube-system/"),
        (Query(workloads=["shop/web"]), "--workload 'web': write NAMESPACE/KIND/NAME, as shop/Deployment/web"),
        (Query(nodes=["other"]), f"--node other: no such node; there are {shop.NODE}"),
        (Query(clues=[Clue("alert", namespace="x", pod="y")]), "alert: its pod (x/y) and its node (none named)"),
    ],
)
def test_what_names_none(tmp_path: Path, query: Query, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        match(shop.cluster(tmp_path), query)
    assert str(caught.value).startswith(words)


def test_clues(tmp_path: Path) -> None:
    cluster = shop.cluster(tmp_path)
    web = next(pod for pod in cluster.snapshot.pods.values() if pod.name == shop.WEB)
    ident = web.containers[0].container_id or ""
    for clue in (
        Clue("a", pod_uid=web.uid), Clue("a", container_ids=(ident,)), Clue("a", namespace="shop", pod=shop.WEB)
    ):  # fmt: skip
        assert names(Query(clues=[clue]), cluster) == [shop.WEB]
    assert names(Query(clues=[Clue("a", namespace="shop", workload="Deployment/web")]), cluster) == WEBS
    alone = match(cluster, Query(clues=[Clue("a", instance_id="i-0abc1234def567890")]))
    assert ([node.name for node in alone.nodes], list(alone.pods)) == ([shop.NODE], [])


def test_what_an_alert_names_and_the_view_has_not_is_a_note(tmp_path: Path) -> None:
    """However the alert names its pod: the plan for the node alone says that the pod is missing from it."""
    cluster, instance = shop.cluster(tmp_path), "i-0abc1234def567890"
    for clue, named in (
        (Clue("alert", namespace="shop", pod="gone-1", instance_id=instance), "its pod shop/gone-1"),
        (Clue("alert", namespace="shop", workload="Deployment/gone", instance_id=instance), "shop/Deployment/gone"),
        (Clue("alert", pod_uid="0-0", instance_id=instance), "its pod 0-0"),
        (Clue("alert", container_ids=("ab" * 32,), node=shop.NODE), "its pod abababababab"),
    ):
        found = match(cluster, Query(clues=[clue]))
        assert (found.pods, [node.name for node in found.nodes]) == ([], [shop.NODE])
        assert len(found.notes) == 1
        assert f"{named} is not in the cluster's view, and no step is about it: node {shop.NODE}" in found.notes[0]
        assert f"shop/{shop.WEB}" in found.notes[0]
    web = Clue("alert", namespace="shop", pod=shop.WEB, instance_id="i-0other")
    assert match(cluster, Query(clues=[web])).notes == [
        "alert: no node of the cluster's view is its instance i-0other: no step is about it"
    ]
    elsewhere = Clue("alert", namespace="shop", pod=shop.WEB, node="n2")
    assert match(cluster, Query(clues=[elsewhere])).notes[0].startswith("alert: it names node n2, and its pod is on ")
    here = Clue("alert", namespace="shop", pod=shop.WEB, instance_id=instance)
    assert match(cluster, Query(clues=[here])).notes == []


def test_ended_pods_are_left_alone(tmp_path: Path) -> None:
    items = shop.items()
    for item in items:
        if item["metadata"]["name"] == shop.MIGRATE:
            item["status"]["phase"] = "Failed"
    (tmp_path / "c.json").write_text(json.dumps({"kind": "List", "items": items}))
    matches = match(Cluster.load(tmp_path), Query(pods=[f"shop/{shop.MIGRATE}"]))
    ended = f"shop/{shop.MIGRATE} has ended (Failed): its node is acquired, the pod itself is left alone"
    assert matches.notes == [ended]


def test_names_that_no_cluster_gives(tmp_path: Path) -> None:
    """A snapshot from elsewhere may hold anything: a name stands in paths and commands."""
    items = shop.items()
    web = next(item for item in items if item["metadata"]["name"] == shop.WEB)
    web["metadata"]["name"] = "x;reboot"
    (tmp_path / "c.json").write_text(json.dumps({"kind": "List", "items": items}))
    with pytest.raises(UsageError, match="'x;reboot' is no name that a cluster gives"):
        match(Cluster.load(tmp_path), Query(workloads=["shop/Deployment/web"]))


@pytest.mark.parametrize(
    ("labels", "provider", "kind", "instance", "group"),
    [
        ({}, "aws:///eu-west-1a/i-0abc1234def567890", "other", "i-0abc1234def567890", None),
        ({"eks.amazonaws.com/nodegroup": "ng"}, "aws:///eu-west-1a/i-0a", "node-group", "i-0a", "ng"),
        ({"karpenter.sh/nodepool": "np"}, "aws:///eu-west-1a/i-0a", "karpenter", "i-0a", "np"),
        ({"eks.amazonaws.com/compute-type": "auto"}, "aws:///eu-west-1a/i-0a", "auto", "i-0a", None),
        ({"eks.amazonaws.com/compute-type": "fargate"}, "aws:///eu-west-1a/abc/fargate-ip", "fargate", None, None),
    ],
)
def test_kinds_of_nodes(
    tmp_path: Path, labels: dict[str, str], provider: str, kind: str, instance: str | None, group: str | None
) -> None:
    node: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": labels}}
    node["spec"] = {"providerID": provider}
    target = node_target(shop.cluster(tmp_path, node), "n")
    assert (target.kind, target.instance_id, target.group) == (kind, instance, group)
    assert target.zone == (None if kind == "fargate" else "eu-west-1a")
    assert node_target(shop.cluster(tmp_path, node), "gone").kind == "unknown"


def test_a_fargate_node_is_known_by_its_name(tmp_path: Path) -> None:
    """Its pod names it where the snapshot has no nodes."""
    name = "fargate-ip-10-0-0-9.eu-west-1.compute.internal"
    assert node_target(shop.cluster(tmp_path), name).kind == "fargate"
    bare: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {}}
    assert node_target(shop.cluster(tmp_path, bare), name).kind == "fargate"
    assert node_target(shop.cluster(tmp_path), "other").kind == "unknown"
