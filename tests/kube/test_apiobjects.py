# SPDX-License-Identifier: Apache-2.0
"""Pods and nodes of a real API server, read alone."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from memir.errors import ClusterError
from memir.kube.apifields import JsonObject
from memir.kube.apiobjects import controller_of, node_of, pod_of

DATA = Path(__file__).parent / "data" / "cluster"
PODS: list[dict[str, Any]] = json.loads((DATA / "pods.json").read_text())["items"]


def pod(name: str) -> dict[str, Any]:
    return copy.deepcopy(next(one for one in PODS if one["metadata"]["name"].startswith(name)))


def test_pod() -> None:
    owners = {("ReplicaSet", "shop", "api-8489696577"): "Deployment/api"}
    value = pod("api-")
    value["spec"]["containers"][0]["env"] = [{"name": "AWS_ROLE_ARN", "value": "arn:aws:iam::1:role/shop-api"}]
    api = pod_of(JsonObject(value, ""), owners)
    assert (api.namespace, api.owner, api.workload, api.service_account) == (
        "shop", "ReplicaSet/api-8489696577", "Deployment/api", "api",
    )  # fmt: skip
    assert api.pod_ips[0].startswith("10.244.")
    assert api.iam_role == "arn:aws:iam::1:role/shop-api"
    assert (api.deleted_at, api.config_hash, [one.name for one in api.containers]) == (None, None, ["api"])
    assert pod_of(JsonObject(pod("toolbox"), ""), {}).containers[0].privileged


def test_container_id_that_is_none() -> None:
    value = pod("api-")
    value["status"]["containerStatuses"][0]["containerID"] = "f" * 64
    odd: list[tuple[str, str]] = []
    assert pod_of(JsonObject(value, "x"), {}, odd).containers[0].container_id is None
    assert odd == [("x.status.containerStatuses[0].containerID", f"{'f' * 64!r} is not <runtime>://<id>")]


def test_pod_that_lacks_its_uid() -> None:
    value = pod("api-")
    del value["metadata"]["uid"]
    with pytest.raises(ClusterError, match=r"metadata\.uid: missing"):
        pod_of(JsonObject(value, "x"), {})


def test_node() -> None:
    documents = [json.loads(file.read_text()) for file in sorted(DATA.glob("*.json"))]
    items = [item for document in documents for item in document.get("items", [document])]
    node = node_of(JsonObject(next(item for item in items if item.get("kind") == "Node"), ""))
    assert (node.name, node.instance_id) == ("ip-10-0-1-23.ec2.internal", "i-0abc1234def567890")
    assert node.system_uuid == node.machine_id == "69dfcd0dd9f24d708bd88939677eb51f"
    assert "10.0.2.15" in node.addresses


def test_controller() -> None:
    owners = [{"kind": "A", "name": "a"}, {"kind": "B", "name": "b", "controller": True}]
    assert controller_of(JsonObject({"metadata": {"ownerReferences": owners}}, "")) == "B/b"
    assert controller_of(JsonObject({"metadata": {"ownerReferences": owners[:1]}}, "")) is None
