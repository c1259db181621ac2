# SPDX-License-Identifier: Apache-2.0
"""Who an IAM role or user is in an EKS cluster: by its access entries, and by the ConfigMap aws-auth.

https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html (which of the two counts is the cluster's
authentication mode; an entry comes before the ConfigMap), access-policy-permissions.html (what access policies allow),
and pkg/mapper of kubernetes-sigs/aws-iam-authenticator (how a role of the ConfigMap is compared).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from memir.errors import ClusterError
from memir.kube.clusterfiles import yaml_documents
from memir.kube.rbac import Grant, Objects, Subject

ENTRY, CLUSTER, CONFIG_MAP = "AccessEntry", "EksCluster", ("ConfigMap", "kube-system", "aws-auth")
"""Kinds under which `memir snapshot` writes AWS's lists, and the ConfigMap."""
_NODE_TYPES = frozenset({"EC2", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "HYBRID_LINUX", "HYPERPOD_LINUX"})
_MAX_YAML = 1 << 20  # characters: what a ConfigMap may hold
_MAX_ENTRIES = 10_000
_ARN = re.compile(r"arn:([a-z-]+):(?:iam|sts)::(\d{12}):(role|assumed-role|user)/(.+)")
_READ, _WRITE = ("get", "list", "watch"), ("create", "delete", "deletecollection", "patch", "update")
_EDITED = (
    (("",), ("pods", "secrets", "configmaps", "serviceaccounts", "services", "persistentvolumeclaims",
             "replicationcontrollers"), (*_READ, *_WRITE)),
    (("",), ("pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "services/proxy"), (*_READ, *_WRITE)),
    (("",), ("serviceaccounts",), ("impersonate",)),
    (("apps",), ("daemonsets", "deployments", "replicasets", "statefulsets"), (*_READ, *_WRITE)),
    (("batch",), ("cronjobs", "jobs"), (*_READ, *_WRITE)),
)  # fmt: skip
_POLICIES: dict[str, tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...]] = {
    "AmazonEKSClusterAdminPolicy": ((("*",), ("*",), ("*",)),),
    "AmazonEKSAdminPolicy": (
        *_EDITED, (("rbac.authorization.k8s.io",), ("rolebindings", "roles"), (*_READ, *_WRITE)),
    ),
    "AmazonEKSEditPolicy": _EDITED,
    "AmazonEKSAdminViewPolicy": ((("*",), ("*",), _READ),),
    "AmazonEKSViewPolicy": ((("", "apps", "batch"), ("pods", "configmaps", "deployments", "jobs"), _READ),),
    "AmazonEKSSecretReaderPolicy": ((("",), ("secrets",), _READ),),
}  # fmt: skip
"""Rules of AWS's policies from which something follows, as (API groups, resources, verbs); others are named only."""


@dataclass(frozen=True, slots=True)
class IamUser:
    """One identity that a principal has in the cluster.

    subject: user and groups. node: it is a node's. grants: by access policies. policies: their names with their scope,
    those without known rules too. through: the list that says so.
    """

    subject: Subject
    through: str
    node: bool = False
    grants: tuple[Grant, ...] = ()
    policies: tuple[str, ...] = field(default=())


def is_eks(objects: Objects) -> bool:
    """Whether the view has any of the lists."""
    return CONFIG_MAP in objects or any(kind in (ENTRY, CLUSTER) for kind, _, _ in objects)


def unread(objects: Objects) -> str | None:
    """Which list the view has not although the cluster may heed it; None: both are there, or do not count."""
    mode = _mode(objects)
    missing = []
    if mode != "CONFIG_MAP" and not any(kind == ENTRY for kind, _, _ in objects):
        missing.append("access entries")
    if mode != "API" and CONFIG_MAP not in objects:
        missing.append("the ConfigMap aws-auth")
    return " and ".join(missing) or None


def users_of(objects: Objects, arn: str) -> list[IamUser]:
    """Whom the cluster takes a role or user for (its ARN, or a role session's); empty: for nobody that it knows."""
    mode = _mode(objects)
    wanted = _key(arn)
    if wanted is None:
        return []
    if mode != "CONFIG_MAP":
        entries = [_part(value, "spec") for (kind, _, _), value in objects.items() if kind == ENTRY]
        users = [_of_entry(entry) for entry in entries if _key(_text(entry.get("principalArn"))) == wanted]
        if users or mode == "API":
            return users
    return list(_of_config_map(objects, arn))


def node_roles(objects: Objects) -> list[str]:
    """ARNs of roles that nodes of the cluster have, each once."""
    mode = _mode(objects)
    roles = []
    if mode != "CONFIG_MAP":
        entries = [_part(value, "spec") for (kind, _, _), value in objects.items() if kind == ENTRY]
        roles += [_text(entry.get("principalArn")) for entry in entries if _of_entry(entry).node]
    if mode != "API":
        roles += [_text(row.get("rolearn")) for row in _mapped(objects, "mapRoles") if "system:nodes" in _groups(row)]
    return list(dict.fromkeys(role for role in roles if role))


def _mode(objects: Objects) -> str | None:
    """API, API_AND_CONFIG_MAP or CONFIG_MAP; None where the view has not the cluster's description."""
    for (kind, _, _), value in objects.items():
        if kind == CLUSTER:
            return _text(_part(_part(value, "spec"), "accessConfig").get("authenticationMode")) or None
    return None


def _key(arn: str) -> tuple[str, str, str, str] | None:
    """(partition, account, role or user, name): a role's name is once in an account, whatever its path."""
    match = _ARN.fullmatch(arn)
    if match is None:
        return None
    partition, account, kind, path = match.groups()
    if kind == "assumed-role":
        return partition, account, "role", path.partition("/")[0]
    return partition, account, kind, path.rpartition("/")[2]


def _of_entry(entry: Mapping[str, Any]) -> IamUser:
    kind = _text(entry.get("type"))
    grants, policies = [], []
    for each in _list(entry.get("policies")):
        policy = each if isinstance(each, Mapping) else {}
        name = _text(policy.get("policyArn")).rpartition("/")[2]
        scope = _part(policy, "accessScope")
        spaces = [_text(space) for space in _list(scope.get("namespaces"))]
        # a wildcard may be any namespace: what it leads to is counted as in one
        places: list[str | None] = [None] if scope.get("type") == "cluster" else [space for space in spaces if space]
        through = f"access policy {name}"
        grants += [
            Grant(verbs, groups, resources, (), (), place, through)
            for place in places for groups, resources, verbs in _POLICIES.get(name, ())
        ]  # fmt: skip
        policies.append(f"{name} in {', '.join(spaces) if spaces else 'the cluster'}")
    node = kind in _NODE_TYPES or "system:nodes" in _groups(entry, "kubernetesGroups")
    groups = {*_groups(entry, "kubernetesGroups"), *(("system:nodes",) if node else ())}
    subject = Subject(_text(entry.get("username")), frozenset({*groups, "system:authenticated"}))
    return IamUser(subject, f"access entry, type {kind or 'not said'}", node, tuple(grants), tuple(policies))


def _of_config_map(objects: Objects, arn: str) -> Iterator[IamUser]:
    key = _key(arn)
    if key is None:
        return
    partition, account, kind, name = key
    # the authenticator compares with the ARN without its path, in lower case
    canonical = f"arn:{partition}:iam::{account}:{kind}/{name}".lower()
    wanted = canonical if kind == "role" else arn.lower()
    column = "rolearn" if kind == "role" else "userarn"
    rows = _mapped(objects, "mapRoles" if kind == "role" else "mapUsers")
    same = [row for row in rows if _text(row.get(column)).lower() == wanted]
    if same:
        groups = _groups(same[-1])  # the authenticator keeps the last of several
        subject = Subject(_text(same[-1].get("username")) or arn, frozenset({*groups, "system:authenticated"}))
        yield IamUser(subject, "ConfigMap kube-system/aws-auth", "system:nodes" in groups)
    elif account in _accounts(objects):
        yield IamUser(Subject(arn, frozenset({"system:authenticated"})), "ConfigMap kube-system/aws-auth, mapAccounts")


def _mapped(objects: Objects, key: str) -> list[Mapping[str, Any]]:
    return [row for row in _yaml_list(objects, key) if isinstance(row, Mapping)]


def _accounts(objects: Objects) -> set[str]:
    return {str(each) for each in _yaml_list(objects, "mapAccounts")}


def _yaml_list(objects: Objects, key: str) -> list[Any]:
    """The list that a value of the ConfigMap is, written in YAML; empty for what is none."""
    text = _part(objects.get(CONFIG_MAP), "data").get(key)
    if not isinstance(text, str) or len(text) > _MAX_YAML:
        return []
    try:
        documents = list(yaml_documents(text, f"aws-auth, {key}"))
    except ClusterError:
        return []
    return documents[0][:_MAX_ENTRIES] if documents and isinstance(documents[0], list) else []


def _groups(row: Mapping[str, Any], key: str = "groups") -> tuple[str, ...]:
    return tuple(each for each in _list(row.get(key)) if isinstance(each, str))


def _part(value: Any, name: str) -> Mapping[str, Any]:
    part = value.get(name) if isinstance(value, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
