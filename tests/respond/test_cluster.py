# SPDX-License-Identifier: Apache-2.0
"""What a plan must know of a cluster, from a view that a real API server gave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memir.errors import AccessError
from memir.kube.apiobjects import ApiPod
from memir.respond.cluster import (
    Cluster,
    annotations_of,
    is_account,
    labels_of,
    meta,
    name_of,
    objects_of,
    on_fargate,
    part,
    path_of,
    selects,
    texts,
)
from tests.respond import shop


def pod(cluster: Cluster, name: str) -> ApiPod:
    return next(pod for pod in cluster.snapshot.pods.values() if pod.name == name)


def test_owners_services_accounts(tmp_path: Path) -> None:
    cluster = shop.cluster(tmp_path)
    web, ledger = pod(cluster, shop.WEB), pod(cluster, shop.LEDGER)
    assert cluster.pod(web)["metadata"]["uid"] == web.uid
    assert [cluster.owner(web)[:2], cluster.workload(web)[:2]] == [
        ("ReplicaSet", "web-7bf68f75d5"), ("Deployment", "web"),
    ]  # fmt: skip
    assert cluster.workload(web)[2]["spec"]["replicas"] == 2
    assert cluster.owner(ledger) == ("", "", {})
    assert cluster.services(web) == [("web", {"app": "web", "tier": "front"})]
    assert cluster.services(ledger) == []
    assert [each.name for each in cluster.account_pods("shop", "default")] == [
        "toolbox", shop.WEB, "web-7bf68f75d5-rqltp",
    ]  # fmt: skip
    assert [path for path, _ in cluster.bindings("shop", "default")] == [
        "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/view",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/shop-view",
    ]
    assert len(list(cluster.of_kind("Node"))) == 1 and cluster.object("Node", "", "other") == {}
    assert (cluster.source.kind, cluster.source.where) == ("snapshot", str(tmp_path))


def test_who_enforces_policies(tmp_path: Path) -> None:
    def enforcer(*items: dict[str, Any]) -> tuple[str, bool]:
        answer = shop.cluster(tmp_path, *items).enforcer()
        return answer.name, answer.cuts

    def daemon(name: str) -> dict[str, Any]:
        meta = {"name": name, "namespace": "kube-system"}
        return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta}

    assert enforcer() == ("VPC CNI", True)
    assert enforcer(shop.vpc_cni(False)) == ("", False)
    assert enforcer(daemon("other")) == ("", False)
    assert enforcer(daemon("calico-node")) == ("Calico", True)
    assert enforcer(shop.vpc_cni(False), daemon("cilium")) == ("Cilium", True)
    labels = {"eks.amazonaws.com/compute-type": "auto"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": labels}}
    assert enforcer(node) == ("unknown", False)


def test_pods_alone_leave_it_unknown(tmp_path: Path) -> None:
    import json

    pods = [item for item in shop.recorded() if item["kind"] == "Pod"]
    (tmp_path / "pods.json").write_text(json.dumps({"kind": "List", "items": pods}))
    assert Cluster.load(tmp_path / "pods.json").enforcer().why == "the snapshot has no DaemonSets"


def test_policies_and_autoscalers(tmp_path: Path) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "allow", "namespace": "shop"}, "spec": {"podSelector": {"matchLabels": {"app": "web"}}},
    }  # fmt: skip
    scaler = {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    }  # fmt: skip
    cluster = shop.cluster(tmp_path, policy, scaler)
    assert cluster.policies(pod(cluster, shop.WEB)) == ["allow"]
    assert cluster.policies(pod(cluster, shop.LEDGER)) == []
    assert (cluster.autoscaler(pod(cluster, shop.WEB)), cluster.autoscaler(pod(cluster, shop.API))) == ("web", "")


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ({}, True), ({"matchLabels": {"a": "1"}}, True), ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Later"}]}, False),
    ],
)  # fmt: skip
def test_label_selectors(selector: dict[str, Any], chosen: bool) -> None:
    assert selects(selector, {"a": "1"}) is chosen


def test_from_the_api() -> None:
    server = shop.server()
    cluster = Cluster.ask(server, "here")
    assert (cluster.source.kind, cluster.source.where, cluster.source.unread) == ("api", "here", ())
    assert cluster.enforcer().name == "VPC CNI"
    assert {method for method, _ in server.requests} == {"GET", "POST"}  # who am I, by POST
    assert server.refused == []
    server.deny = {"list services", "list rolebindings"}
    assert [why.split(":")[0] for why in Cluster.ask(server, "here").source.unread] == ["services", "rolebindings"]


def test_everything_denied() -> None:
    server = shop.server()
    server.deny = {f"list {path.split('/')[-2]}" for path in server.objects}
    with pytest.raises(AccessError):
        from memir.kubeapi.snapshot import RESOURCES

        server.deny |= {f"list {resource.plural}" for resource in RESOURCES}
        Cluster.ask(server, "here")


def test_small_readers() -> None:
    item = {"metadata": {"name": "a", "labels": {"x": "1", "y": 2}, "annotations": {"z": "3"}}, "spec": []}
    assert (meta(item)["name"], name_of(item)) == ("a", "a")
    assert (labels_of(item), annotations_of(item)) == ({"x": "1"}, {"z": "3"})
    assert (part(item, "spec", "selector"), texts(item, "metadata", "none"), objects_of({}), objects_of([1, {}])) == (
        {}, {}, [], [{}],
    )  # fmt: skip
    assert path_of("Job", "a", "b") == "/apis/batch/v1/namespaces/a/jobs/b"
    assert is_account(shop.ACCOUNT, "shop", "default") and not is_account(shop.SOMEONE, "shop", "default")
    assert is_account({"kind": "User", "name": "system:serviceaccount:shop:default"}, "shop", "default")


def test_on_fargate(tmp_path: Path) -> None:
    web = pod(shop.cluster(tmp_path), shop.WEB)
    assert not on_fargate(web)
    assert on_fargate(replace(web, labels={"eks.amazonaws.com/fargate-profile": "shop"}))
    assert on_fargate(replace(web, node="fargate-ip-10-0-0-9.eu-west-1.compute.internal"))
