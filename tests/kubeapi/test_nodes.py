# SPDX-License-Identifier: Apache-2.0
"""Nodes by Kubernetes label and instances by tag: which ones a plan is made for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memir.aws.client import Connection, service_client
from memir.aws.instances import instances_by_tag
from memir.errors import AccessError, NodeError, UsageError
from memir.kubeapi.client import KubeOptions
from memir.kubeapi.nodes import instance_of, instances, memory_of, no_ssm, node_names
from tests.acquire.rigs.kube import KubeServer
from tests.acquire.rigs.ssm import SsmServer
from tests.cli.test_acquire import memir

AUTO = {"eks.amazonaws.com/compute-type": "auto"}


def node(name: str, role: str, provider: str, more: dict[str, str] | None = None, system: str = "") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"role": role} | (more or {})},
            "spec": {"providerID": provider}, "status": {"nodeInfo": {"osImage": system}}}  # fmt: skip


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[KubeOptions]:
    server = KubeServer()
    server.load([
        node("node-a", "web", "aws:///eu-west-1a/i-0aaaaaaaaaaaaaaaa"),
        node("node-b", "web", "aws:///eu-west-1b/i-0bbbbbbbbbbbbbbbb"),
        node("node-c", "batch", "aws:///eu-west-1a/fargate-ip-10-0-0-9"),
        node("i-0cccccccccccccccc", "auto", "aws:///eu-west-1a/i-0cccccccccccccccc", AUTO, "Bottlerocket (EKS Auto)"),
        node("node-d", "mixed", "aws:///eu-west-1a/i-0dddddddddddddddd"),
        node("node-e", "mixed", "aws:///eu-west-1a/i-0eeeeeeeeeeeeeeee", None, "Bottlerocket OS 1.50.0 (aws-k8s-1.34)"),
    ])  # fmt: skip
    server.start()
    yield KubeOptions(str(server.kubeconfig(tmp_path / "kubeconfig")))
    server.stop()


def test_nodes_and_their_instances(kube: KubeOptions) -> None:
    assert node_names("role=web", kube) == ["node-a", "node-b"]
    assert instances("role=web", kube) == ["i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb"]
    with pytest.raises(NodeError, match=r"node node-c is no EC2 instance .*: Fargate has no node"):
        instances("role=batch", kube)
    with pytest.raises(NodeError, match="no node carries the labels 'role=none'"):
        node_names("role=none", kube)


def test_nodes_that_ssm_does_not_reach(kube: KubeOptions) -> None:
    with pytest.raises(NodeError) as refused:
        instances("role=auto", kube)
    assert str(refused.value) == (
        "node i-0cccccccccccccccc is EKS Auto Mode's, which has no SSM agent and no SSH: use memir acquire pod --node "
        "i-0cccccccccccccccc"
    )
    with pytest.raises(NodeError) as refused:
        instances("role=mixed", kube)
    assert str(refused.value) == (
        "node node-e runs Bottlerocket, where SSM lands in a container beside the node: use memir acquire pod --node "
        "node-e, and SSM for the others (--instance-id, or a narrower --selector)"
    )
    assert no_ssm({"metadata": [1], "status": {"nodeInfo": None}}) == no_ssm({}) == ""


@pytest.mark.parametrize(
    ("memory", "size"),
    [("16374108Ki", 16_374_108 << 10), ("64Gi", 64 << 30), ("8G", 8 * 10**9), ("1024", 1024), ("a lot", 0), (None, 0)],
)
def test_memory_of_a_node(memory: str | None, size: int) -> None:
    assert memory_of({"status": {"capacity": {"memory": memory}}}) == size
    assert memory_of({"status": {"capacity": [memory]}}) == memory_of({"status": None}) == memory_of({}) == 0


def test_instances_by_tag(ssm_server: SsmServer) -> None:
    ssm_server.add("i-0aaaaaaaaaaaaaaaa", tags={"role": "web"})
    ssm_server.add("i-0bbbbbbbbbbbbbbbb", tags={"role": "batch"})
    client = service_client("ssm", Connection(ssm_server.region, ssm_server.endpoint))
    assert instances_by_tag(client, "role=web") == ["i-0aaaaaaaaaaaaaaaa"]
    with pytest.raises(NodeError, match="no instance that SSM manages has the tag role=none"):
        instances_by_tag(client, "role=none")
    with pytest.raises(UsageError, match="--tag 'role': write KEY=VALUE"):
        instances_by_tag(client, "role")
    ssm_server.deny = {"ssm:DescribeInstanceInformation"}
    with pytest.raises(AccessError, match="ssm:DescribeInstanceInformation is denied"):
        instances_by_tag(client, "role=web")


def test_a_plan_for_each_node_of_a_label(
    kube: KubeOptions, ssm_server: SsmServer, tmp_path: Path, avml: Path, s3: Any, bucket: str, shim: Any
) -> None:
    """Two nodes carry the label; the agent of one is not online: its failure is its own."""
    for name in ("i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb"):
        ssm_server.add(name)
    ssm_server.agents["i-0bbbbbbbbbbbbbbbb"].ping = "ConnectionLost"
    done = memir(
        "acquire", "ssm", "--selector", "role=web", "--kubeconfig", str(kube.kubeconfig), "--to", f"s3://{bucket}/case",
        "--ssm-endpoint", ssm_server.endpoint, "--s3-endpoint", shim.endpoint, "--region", shim.region, "-o", "ev",
        "--tool", "lime", "--tool-path", str(avml), "--json", tools=tmp_path, cwd=tmp_path,
    )  # fmt: skip
    nodes = json.loads(done.stdout)["nodes"]
    assert [one["node"] for one in nodes] == ["i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb"]
    assert "is avml, but --tool says lime" in nodes[0]["error"]
    assert "instance i-0bbbbbbbbbbbbbbbb is not online in SSM (ConnectionLost)" in nodes[1]["error"]
    assert [one["exit_code"] for one in nodes] == [2, 4]
    assert done.returncode == 4


def test_instance_of_a_node() -> None:
    assert instance_of(node("n", "web", "aws:///eu-west-1a/i-0aaaaaaaaaaaaaaaa")) == "i-0aaaaaaaaaaaaaaaa"
    with pytest.raises(NodeError, match=r"node n is no EC2 instance \(kind://x\)"):
        instance_of(node("n", "web", "kind://x"))
