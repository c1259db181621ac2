# SPDX-License-Identifier: Apache-2.0
"""What the steps share."""

from __future__ import annotations

from pathlib import Path

import yaml

from memir.respond.actions.kube_object import PLAN
from memir.respond.plan import NodeTarget, Permission
from memir.respond.steps.base import (
    Facts,
    make_object,
    manifest_meta,
    may,
    may_aws,
    node_path,
    patch_fields,
    pod_path,
    short_name,
)
from tests.respond import shop


def test_changes_in_words(tmp_path: Path) -> None:
    cluster = shop.cluster(tmp_path)
    web = next(pod for pod in cluster.snapshot.pods.values() if pod.name == shop.WEB)
    facts = Facts("memir-0123abcd", cluster)
    assert pod_path(web) == f"/api/v1/namespaces/shop/pods/{shop.WEB}"
    assert node_path(NodeTarget("n", None, None, "other")) == "/api/v1/nodes/n"
    assert short_name(facts, web) == "memir-0123abcd-033d7310"
    change = patch_fields("a", "/x", None, {"/y": None}, {"/y": "1"}, irreversible="because")
    assert (change.calls, change.uid, change.irreversible) == (("GET /x", 'PATCH /x {"/y": "1"}'), "", "because")
    manifest = {"kind": "X", "metadata": manifest_meta(facts, "n", "shop")}
    made = make_object("b", "/c", manifest)
    assert (made.target, made.calls, yaml.safe_load(made.manifest)) == ("/c/n", ("GET /c/n", "POST /c"), manifest)
    assert manifest["metadata"]["annotations"] == {PLAN: "memir-0123abcd"}  # type: ignore[index]  # a mapping
    right = Permission("kubernetes", "get", "jobs", "batch", "a", "b")
    assert may("get", "jobs", "a", group="batch", name="b") == right
    assert may_aws("ec2:X", "i-1") == Permission("aws", "ec2:X", "i-1")
