# SPDX-License-Identifier: Apache-2.0
"""A node's parts are read when they are asked for, once, and are those of the recording."""

from __future__ import annotations

from collections.abc import Callable

from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from tests.damage import damaged
from tests.images import case

NodeOf = Callable[[str], RamSource]


def test_nothing_is_read_before_it_is_asked_for(node_of: NodeOf) -> None:
    whole = node_of("s-6.1-small")
    memory = damaged(whole.kernel.memory, {})
    kernel = Kernel(memory, whole.kernel.anchors)
    before = memory.work
    node = RamSource(kernel)
    assert memory.work == before
    assert node.kind == "ram" and node.gaps is kernel.gaps and node.cluster is None
    assert len(node.processes.rows) == len(whole.processes.rows)
    assert not {"files", "membership", "containers", "pods"} & vars(node).keys()
    assert [pod.pod_name for pod in node.pods.values()] == [pod.pod_name for pod in whole.pods.values()]
    read = memory.work
    assert (node.pods is node.pods, node.owners is node.owners, node.mounts is node.mounts) == (True, True, True)
    assert node.namespace_mounts.of(node.host_mnt_ns).tolist() and node.files.specs and node.identities
    assert memory.work == read


def test_parts(image: str, node_of: NodeOf) -> None:
    node, recorded = node_of(image), case(image).recorded()
    first = next(row for row in node.processes.rows if row.pid == 1)
    assert first.namespaces["mnt"] == recorded[1].namespaces["mnt"]
    spaces = dict(zip(node.processes.mnt_ns.tolist(), node.processes.rows, strict=True))
    assert spaces[node.host_mnt_ns].namespaces["mnt"] == first.namespaces["mnt"]
    assert len(node.identities) == len(node.processes.rows) == len(node.processes.task)
    assert node.membership.host["net"] == recorded[1].namespaces["net"]
    assert {identity.container_id for identity in node.identities} - {None} <= node.containers.keys()
    assert {row.pod_uid for row in node.containers.values()} - {None} <= node.pods.keys()
    assert node.name == node.node.name != ""
    assert {claim.subject.kind for claim in node.claims} >= {"process", "container", "pod"}
    assert node.file_owners.of([]) == {}
    assert node.facts.clock is None or node.facts.clock > 0
