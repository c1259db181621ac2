# SPDX-License-Identifier: Apache-2.0
"""A cluster's view that a real API server (1.34) gave, with what this cluster lacked: a Service, VPC CNI, bindings."""

from __future__ import annotations

import copy
import functools
import gzip
import json
from pathlib import Path
from typing import Any

from memir.respond.cluster import Cluster
from memir.respond.make import make_plan
from memir.respond.match import Query
from memir.respond.plan import Plan
from memir.respond.steps.base import Options
from tests.respond.strict_api import StrictApi

DATA = Path(__file__).parents[1] / "kubeapi" / "data"
NODE = "ip-10-0-1-23.ec2.internal"
WEB, API, MIGRATE, LEDGER = "web-7bf68f75d5-86xhc", "api-8489696577-l7df2", "migrate-w57gd", "ledger"
MADE = "2026-11-29T10:00:00+00:00"
REGISTRY = "602401143452.dkr.ecr.eu-west-1.amazonaws.com"
RBAC = "rbac.authorization.k8s.io"


@functools.cache
def recorded() -> list[dict[str, Any]]:
    """Pods and everything else, as recorded."""
    return [
        item
        for name in ("pods", "cluster")
        for item in json.loads(gzip.decompress((DATA / f"{name}.json.gz").read_bytes()))["items"]
    ]


def service(name: str, selector: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "shop", "uid": f"service-{name}"},
        "spec": {"selector": selector},
    }  # fmt: skip


def vpc_cni(on: bool = True) -> dict[str, Any]:
    """aws-node as EKS's add-on has it: https://github.com/aws/amazon-vpc-cni-k8s charts/aws-vpc-cni."""
    agent = {
        "name": "aws-eks-nodeagent", "image": f"{REGISTRY}/amazon/aws-network-policy-agent:v1.2.7",
        "args": ["--enable-ipv6=false", f"--enable-network-policy={str(on).lower()}"],
    }  # fmt: skip
    return {
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {"name": "aws-node", "namespace": "kube-system", "uid": "cni"},
        "spec": {"template": {"spec": {"containers": [{"name": "aws-node"}, agent]}}},
    }  # fmt: skip


def binding(name: str, namespace: str, subjects: list[dict[str, str]]) -> dict[str, Any]:
    meta = {"name": name, "uid": f"binding-{namespace}-{name}"} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": f"{RBAC}/v1", "kind": "RoleBinding" if namespace else "ClusterRoleBinding", "metadata": meta,
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}, "subjects": subjects,
    }  # fmt: skip


ACCOUNT = {"kind": "ServiceAccount", "name": "default", "namespace": "shop"}
SOMEONE = {"kind": "User", "apiGroup": RBAC, "name": "someone"}
EXTRA = (
    service("web", {"app": "web", "tier": "front"}), service("api", {"app": "api"}), vpc_cni(),
    binding("view", "shop", [ACCOUNT, SOMEONE]), binding("shop-view", "", [ACCOUNT]),
)  # fmt: skip


def items(*extra: dict[str, Any]) -> list[dict[str, Any]]:
    return copy.deepcopy([*recorded(), *(extra or EXTRA)])


def folder(path: Path, *extra: dict[str, Any]) -> Path:
    """A snapshot folder."""
    path.mkdir(exist_ok=True)
    (path / "cluster.json").write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": items(*extra)}))
    return path


def cluster(path: Path, *extra: dict[str, Any]) -> Cluster:
    return Cluster.load(folder(path, *extra))


def plan(path: Path, name: str = WEB, *extra: dict[str, Any], namespace: str = "shop", **options: Any) -> Plan:
    """The plan for one pod, from the folder that is made at `path`."""
    query = Query(pods=(f"{namespace}/{name}",))
    given = Options(**({"evidence": "s3://evidence/case"} | options))
    return make_plan(cluster(path, *extra), query, {"pod": f"{namespace}/{name}"}, MADE, options=given)


def server(*extra: dict[str, Any]) -> StrictApi:
    made = StrictApi()
    made.load(items(*extra))
    return made


ROLE = "arn:aws:iam::123456789012:role/shop-web"


def on_instance(path: Path, instance: str, name: str = WEB) -> Plan:
    """A plan whose node is this EC2 instance, and whose account has an IRSA role."""
    node = next(item for item in items() if item["kind"] == "Node")
    node["spec"]["providerID"] = f"aws:///eu-west-1a/{instance}"
    account = next(item for item in items() if (item["kind"], item["metadata"]["name"]) == ("ServiceAccount", "default")
                   and item["metadata"]["namespace"] == "shop")  # fmt: skip
    account["metadata"]["annotations"] = {"eks.amazonaws.com/role-arn": ROLE}
    return plan(path, name, *EXTRA, node, account)
