# SPDX-License-Identifier: Apache-2.0
"""Revoke the service account: each binding that names it, the others in it kept."""

from __future__ import annotations

from pathlib import Path

from memir.respond.steps.base import Facts
from memir.respond.steps.revoke_account import FIELD, revoke_account
from tests.respond import shop


def test_each_binding(tmp_path: Path) -> None:
    step = revoke_account(Facts("memir-1", shop.cluster(tmp_path)), "shop", "default")
    changes = [(change.target.rpartition("v1/")[2], change.uid, change.before, change.after) for change in step.changes]
    assert changes == [
        ("namespaces/shop/rolebindings/view", "binding-shop-view", {FIELD: (shop.ACCOUNT, shop.SOMEONE)},
         {FIELD: (shop.SOMEONE,)}),
        ("clusterrolebindings/shop-view", "binding--shop-view", {FIELD: (shop.ACCOUNT,)}, {FIELD: None}),
    ]  # fmt: skip
    assert [right.words() for right in step.permissions] == [
        f"{verb} {resource}"
        for resource in (
            f"rolebindings.{shop.RBAC} view in shop", f"clusterrolebindings.{shop.RBAC} shop-view",
        )
        for verb in ("get", "patch")
    ]  # fmt: skip
    assert step.triggers == (f"every pod of the account loses it: toolbox, {shop.WEB}, web-7bf68f75d5-rqltp",)
    assert step.limits[0] == "loses: ClusterRole view in shop, ClusterRole view"


def test_no_binding_and_none_read(tmp_path: Path) -> None:
    none = revoke_account(Facts("memir-1", shop.cluster(tmp_path)), "payments", "default")
    assert (none.changes, none.unresolved) == ((), ())
    assert none.limits[0] == "no binding names the account: it has what its groups have"
    import json

    from memir.respond.cluster import Cluster

    pods = [item for item in shop.recorded() if item["kind"] == "Pod"]
    (tmp_path / "pods.json").write_text(json.dumps({"kind": "List", "items": pods}))
    unread = revoke_account(Facts("memir-1", Cluster.load(tmp_path / "pods.json")), "shop", "default")
    assert len(unread.unresolved) == 1
