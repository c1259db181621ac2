# SPDX-License-Identifier: Apache-2.0
"""Which pod, and what the API server has of it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from memir.collect.folder import Folder
from memir.collect.target import by_api, by_uid, on_fargate, split_name, write_api
from memir.errors import NodeError, UsageError
from memir.evidence.custody import Manifest
from memir.kubeapi.client import KubeOptions, make_api
from tests.acquire.rigs.kube import KubeServer
from tests.collect.podrig import PodRig


def api(tmp_path: Path) -> Any:
    return make_api(KubeOptions(str(tmp_path / "kubeconfig")))


def test_names() -> None:
    assert split_name("shop/web") == ("shop", "web")
    for wrong in ("web", "/web", "shop/", "a/b/c"):
        with pytest.raises(UsageError, match="write NAMESPACE/NAME"):
            split_name(wrong)
    assert by_uid("AB" * 16).uid_on_node == "ab" * 16
    with pytest.raises(UsageError, match="is no pod's UID"):
        by_uid("web")


def test_the_pod_as_the_api_has_it(pod: PodRig, kube: KubeServer, tmp_path: Path) -> None:
    name = f"{pod.namespace}/{pod.name}"
    target = by_api(api(tmp_path), name)
    assert (target.uid_on_node, target.ids, target.pod.node) == (pod.uid, (pod.container,), "node-1")
    rows = [(row.name, row.kind, row.state, row.restarts) for row in target.pod.containers]
    assert rows == [("wait", "init", "terminated", 0), ("web", "container", "running", 1)]
    assert target.pod.containers[1].image_id.endswith("@sha256:" + "ab" * 32)
    manifest = Manifest(tmp_path)
    gaps = write_api(target, Folder(tmp_path, manifest))
    manifest.close()
    assert json.loads((tmp_path / "api/pod.json").read_bytes())["metadata"]["uid"] == pod.uid
    assert [row["reason"] for row in json.loads((tmp_path / "api/events.json").read_bytes())] == ["BackOff"]
    assert (tmp_path / "api/logs/web.log").read_bytes().endswith(b"second run\n")
    assert (tmp_path / "api/logs/web.previous.log").read_bytes().endswith(b"first run\n")
    assert [(gap.kind, gap.where, gap.missing) for gap in gaps] == [("log", "wait", False)]
    changing = [row for row in kube.requests if not row.startswith("GET")]
    assert changing == []


def test_what_is_denied_is_missing_and_a_pod_without_a_node(pod: PodRig, kube: KubeServer, tmp_path: Path) -> None:
    name = f"{pod.namespace}/{pod.name}"
    target = by_api(api(tmp_path), name)
    kube.deny = {"list events", "get nodes"}
    manifest = Manifest(tmp_path)
    gaps = write_api(target, Folder(tmp_path, manifest))
    manifest.close()
    assert [(gap.kind, gap.missing) for gap in gaps][:2] == [("events", True), ("node object", False)]
    assert "not allowed to list events" in gaps[0].why
    document: dict[str, Any] = copy.deepcopy(dict(pod.document()))
    document["metadata"]["labels"] = {"eks.amazonaws.com/fargate-profile": "fp"}
    document["metadata"]["annotations"] = {"kubernetes.io/config.hash": "c" * 32}
    kube.recorded["shop/fargate"] = document
    with pytest.raises(NodeError, match=r"runs on EKS Fargate .*`memir collect fargate shop/fargate -o DIR`"):
        by_api(api(tmp_path), "shop/fargate")
    assert by_api(api(tmp_path), "shop/fargate", beside=True).pod.name == "fargate"
    assert on_fargate(document)
    assert not on_fargate({"metadata": {}})
    kube.recorded["shop/static"] = {**document, "metadata": {**document["metadata"], "labels": {}}}
    assert by_api(api(tmp_path), "shop/static").uid_on_node == "c" * 32
    kube.recorded["shop/pending"] = {**document, "spec": {}}
    with pytest.raises(NodeError, match="has no node yet"):
        by_api(api(tmp_path), "shop/pending")
    with pytest.raises(NodeError, match="not found"):
        by_api(api(tmp_path), "shop/none")
