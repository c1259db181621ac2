# SPDX-License-Identifier: Apache-2.0
"""Processes of a pod with the node's namespaces."""

from __future__ import annotations

import numpy as np

from memir.findings.detections.node_namespaces import host_namespaces, left
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.symbols.locate import locate
from tests.damage import damaged, patched
from tests.findings.real import INTRUDED, NODE, SMALL, brief, kind, of_source, on_the_node
from tests.images import case

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


def test_where_the_cgroup_is_not_known_who_came_from_where_is_not_either() -> None:
    """A css_set that is damaged: no word of an escape that may have been somebody's nsenter from the node."""
    clean = RamSource(Kernel(case(INTRUDED).open(), locate(case(INTRUDED).open())))
    kernel = clean.kernel
    task = np.array([row.task for row in clean.processes.rows if row.pid == 306], np.uint64)
    place, _ = kernel.space.physical(kernel.embedded(task, "task_struct", "cgroups"))
    torn = RamSource(Kernel(damaged(kernel.memory, patched(kernel.memory, {int(place[0]): bytes(8)})), kernel.anchors))
    (row,) = [row for row in of_source(torn, KIND) if row["pid"] == 306]
    assert row["severity"] == "medium" and "stepped" not in row["title"]
    assert row["title"].endswith("has namespaces of the node and of a pod: pid_ns=host, cgroup_ns=host")
    assert row["reason"].startswith("its cgroup could not be read")
