# SPDX-License-Identifier: Apache-2.0
"""Processes of a pod with the node's namespaces."""

from __future__ import annotations

from memir.findings.detections.node_namespaces import host_namespaces, left
from tests.findings.real import INTRUDED, NODE, SMALL, brief, kind, on_the_node

KIND = "node-namespaces"


def test_there() -> None:
    assert brief(kind(INTRUDED, KIND)) == {
        ("critical", "miner-0", "miner", 284),  # every namespace is the node's
        ("high", "toolbox", "toolbox", 275), ("high", "toolbox", "toolbox", 277), ("high", "miner-0", "miner", 306),
        ("medium", None, None, 301),  # a cgroup that only looks like a pod's
    }  # fmt: skip


@on_the_node
def test_on_the_node() -> None:
    assert brief(kind(NODE, KIND)) == {("high", "toolbox", "toolbox", 1356), ("high", "toolbox", "toolbox", 1358)}


def test_a_pod_on_the_hosts_network_has_not_stepped_out() -> None:
    assert kind(SMALL, KIND) == []


def test_what_witnesses_say() -> None:
    row = {"disagreements": ["cgroup=host", "mnt_ns=host", "net_ns=pod:x", "uts=host"]}
    assert (host_namespaces(row), left(row)) == (["mnt"], True)
    assert (host_namespaces({"disagreements": None}), left({"disagreements": []})) == ([], False)
