# SPDX-License-Identifier: Apache-2.0
"""Whose AWS's temporary keys in memory probably are: the role of the pod that holds them, or that of the node.

A key does not name its role. In a pod whose account has a role it is most likely that role's; anywhere else on an EKS
node most likely the instance's, from the metadata service. CloudTrail says it for sure (`aws-key-in-memory`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from memir.kube.iam_access import node_roles
from memir.kube.opens import Access
from memir.kube.rbac import Objects

KINDS = frozenset({"aws secret key", "aws session", "aws access key id"})


def likely(row: Mapping[str, Any], pod_role: str | None, objects: Objects, access: Access) -> dict[str, Any]:
    """Columns `gain` and `opens` of a row of the table secrets; empty where nothing can be said of its role.

    pod_role: ARN of the role of the pod that holds it, if there is one.
    """
    facts = _facts(row.get("claims"))
    if row.get("kind") not in KINDS or not facts.get("temporary"):
        return {}
    # where no process holds it, nothing says where it came from
    roles = [pod_role] if pod_role else node_roles(objects) if row.get("pid") is not None else []
    account = facts.get("account")
    roles = [role for role in roles if not account or f"::{account}:" in role]
    if len(roles) != 1:
        return {}
    whose = "its pod's" if pod_role else "the node's"
    opened = access.of_role(roles[0], f"probably IAM role {roles[0]}, {whose} (a key names no role; CloudTrail does)")
    return {"gain": opened.gain, "opens": list(opened.opens)}


def _facts(claims: Any) -> Mapping[str, Any]:
    """The facts beside a key, as the column `claims` has them."""
    try:
        value = json.loads(claims) if isinstance(claims, str) else {}
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
