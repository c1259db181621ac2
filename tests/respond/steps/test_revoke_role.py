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
    assert (unknown.changes, unknown.unresolved) == ((), ("whether EKS Pod Identity gives shop/default a role",))
