# SPDX-License-Identifier: Apache-2.0
"""Revoke a pod's role: the ways to new sessions first, then the sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memir.respond.plan import Step
from memir.respond.steps.revoke_role import revoke_role
from tests.respond import shop

OTHER = "arn:aws:iam::123456789012:role/other"


def step(role: str | None, given: str | None, **more: Any) -> Step:
    return revoke_role(
        "memir-1", "shop", "default", role, pod_identity=given, cluster_name="prod", **({"cluster": None} | more)
    )  # fmt: skip


def test_both_ways(tmp_path: Path) -> None:
    made = step(shop.ROLE, OTHER, cluster=shop.cluster(tmp_path))
    assert [(change.kind, change.target) for change in made.changes] == [
        ("iam-trust", "shop-web"), ("eks-association", "shop/default"), ("iam-deny", "shop-web"), ("iam-deny", "other"),
    ]  # fmt: skip
    assert made.changes[0].needs == {"subject": "system:serviceaccount:shop:default", "sid": "Memir1"}
    assert "aws:TokenIssueTime" in made.changes[2].calls[0]
    assert f"pods of the account: toolbox, {shop.WEB}, web-7bf68f75d5-rqltp" in made.triggers
    assert f"iam:PassRole on {OTHER}" in [right.words() for right in made.permissions]


def test_one_way_none_and_not_known() -> None:
    assert [change.kind for change in step(shop.ROLE, "").changes] == ["iam-trust", "iam-deny"]
    assert step(None, "").changes == ()
    unknown = step(shop.ROLE, None)
    assert (unknown.changes, unknown.unresolved[0].partition(",")[0]) == (
        (), "whether EKS Pod Identity gives shop/default a role",
    )  # fmt: skip


def test_access_entries(tmp_path: Path) -> None:
    """Those that pods have are removed and named; a node's is left."""
    policy = {"policy": "arn:aws:eks::aws:cluster-access-policy/P", "scope": "cluster", "namespaces": ""}
    mine = {"type": "STANDARD", "username": "u", "groups": ["ci"], "policies": [policy], "tags": []}
    entries = {shop.ROLE: mine, OTHER: {"type": "EC2_LINUX"}}
    made = step(shop.ROLE, OTHER, entries=entries, holders=["shop/api"])
    (change,) = [change for change in made.changes if change.kind == "eks-access-entry"]
    assert (change.target, change.needs, change.after) == (shop.ROLE, {"cluster": "prod"}, {"type": None})
    assert change.before == mine | {"groups": ("ci",), "policies": (policy,), "tags": ()}
    assert change.calls[0] == f"eks:DeleteAccessEntry {shop.ROLE} of prod"
    assert f"whoever has {shop.ROLE} loses its entry to the cluster's API: group ci, P (cluster)" in made.triggers
    assert "Pod Identity gives the role to shop/api too" in made.triggers
    assert f"{OTHER} has an access entry of type EC2_LINUX: nodes sign in with it, so it is left" in made.limits
    assert any(limit.startswith("ConfigMap kube-system/aws-auth is not looked at") for limit in made.limits)
    none = step(shop.ROLE, "", entries={shop.ROLE: {"type": None}})
    assert [change.kind for change in none.changes] == ["iam-trust", "iam-deny"]
