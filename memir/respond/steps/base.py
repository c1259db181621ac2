# SPDX-License-Identifier: Apache-2.0
"""What the steps share: the facts that they are made from, and changes with their requests in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from memir.kube.apiobjects import ApiPod
from memir.respond.actions.kube_object import PLAN
from memir.respond.cluster import Cluster
from memir.respond.plan import Change, Choices, NodeTarget, Permission, Value

INCIDENT = "memir/incident"
"""Label on pods and nodes: of which plan they are."""
ISOLATE = "memir/isolate"
"""Label that the policy selects."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the reader asks for. evidence: where RAM goes. accept_orphan, accept_restart: risks that are taken."""

    evidence: str = "evidence"
    transport: str = ""
    accept_orphan: bool = False
    accept_restart: bool = False
    choices: Choices = field(default_factory=Choices)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a step is made from."""

    plan_id: str
    cluster: Cluster
    options: Options = field(default_factory=Options)


def pod_path(pod: ApiPod) -> str:
    """The API server's path of a pod."""
    return f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}"


def node_path(node: NodeTarget) -> str:
    """The API server's path of a node."""
    return f"/api/v1/nodes/{node.name}"


def patch_fields(
    ident: str, path: str, uid: str | None, before: Mapping[str, Value], after: Mapping[str, Value], *,
    irreversible: str = "",
) -> Change:  # fmt: skip
    """Fields of an object, by JSON pointer."""
    words = json.dumps(dict(after), default=list)
    return Change(
        ident, "kube-fields", path, (f"GET {path}", f"PATCH {path} {words}"), uid or "", before, after,
        irreversible=irreversible,
    )  # fmt: skip


def make_object(ident: str, collection: str, manifest: Mapping[str, Any]) -> Change:
    """An object of ours."""
    import yaml

    name = manifest["metadata"]["name"]
    path = f"{collection}/{name}"
    text = yaml.safe_dump(dict(manifest), sort_keys=False)
    return Change(ident, "kube-object", path, (f"GET {path}", f"POST {collection}"), manifest=text)


def manifest_meta(facts: Facts, name: str, namespace: str) -> dict[str, Any]:
    """metadata of an object of ours."""
    return {
        "name": name, "namespace": namespace, "labels": {"app.kubernetes.io/managed-by": "memir"},
        "annotations": {PLAN: facts.plan_id},
    }  # fmt: skip


def may(verb: str, resource: str, namespace: str = "", *, group: str = "", name: str = "") -> Permission:
    """A right in Kubernetes."""
    return Permission("kubernetes", verb, resource, group, namespace, name)


def may_aws(action: str, resource: str) -> Permission:
    """A right in AWS."""
    return Permission("aws", action, resource)


def short_name(facts: Facts, pod: ApiPod) -> str:
    """A name for objects about a pod: the plan's id and the beginning of the pod's UID, within 63 characters."""
    return f"{facts.plan_id}-{pod.uid[:8]}"
