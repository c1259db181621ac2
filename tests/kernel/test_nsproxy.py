# SPDX-License-Identifier: Apache-2.0
"""The namespaces of tasks, against /proc/PID/ns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel import nsproxy
from memir.kube.ram import RamSource
from tests.images import case

NodeOf = Callable[[str], RamSource]


def found_in(node: RamSource) -> nsproxy.Namespaces:
    kernel, task = node.kernel, node.processes.task
    cred = kernel.read(task, "task_struct", "real_cred").astype(np.uint64)
    return nsproxy.namespaces(kernel, task, kernel.read(cred, "cred", "user_ns").astype(np.uint64))


def test_numbers_are_those_of_proc(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    spaces = found_in(node)
    compared = 0
    for at, row in enumerate(node.processes.rows):
        truth = case(image).recorded().get(row.pid)
        if truth is None or row.state in "ZX":
            continue
        shown = {kind: inum for kind, inum in truth.namespaces.items() if inum}
        assert {kind: int(spaces.inum[kind][at]) for kind in shown} == shown, row.pid
        compared += 1
    assert compared > 30
    assert tuple(spaces.address) == nsproxy.KINDS


def test_equal_numbers_are_equal_addresses(node_of: NodeOf, image: str) -> None:
    spaces = found_in(node_of(image))
    for kind in nsproxy.KINDS:
        pairs = set(zip(spaces.address[kind].tolist(), spaces.inum[kind].tolist(), strict=True))
        assert len({address for address, _ in pairs}) == len(pairs) == len({inum for _, inum in pairs})


def test_host_names(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    names = nsproxy.uts_names(node.kernel, np.unique(found_in(node).address["uts"]))
    if case(image).small:
        sandboxes = {one["pod"].encode() for one in case(image).raw_truth()["pod"] if one["pod"] != "agent-x9z2k"}
        assert sandboxes <= set(names)
    assert any(name and name.startswith(b"ip-10-0-") for name in names)
    assert nsproxy.uts_names(node.kernel, np.zeros(1, np.uint64)) == [None]


def test_what_is_no_namespace_has_no_number(node_of: NodeOf) -> None:
    """A task is none: its words name no operations of namespaces, and a gap says so."""
    node = node_of("s-6.1-small")
    before = sum(gap.count for gap in node.kernel.gaps if gap.kind == "mnt namespace")
    assert nsproxy.numbers(node.kernel, "mnt", node.processes.task[:3]).tolist() == [0, 0, 0]
    assert sum(gap.count for gap in node.kernel.gaps if gap.kind == "mnt namespace") == before + 3


def test_files_of_namespaces_are_named_as_readlink_shows_them(node_of: NodeOf) -> None:
    """From Linux 6.1 a mnt_namespace begins with its ns_common: nsproxy.mnt_ns is what i_private is in nsfs."""
    node = node_of("s-6.1-small")
    kernel = node.kernel
    assert kernel.types.offset("mnt_namespace", "ns") == 0
    nsproxy_at = kernel.pointer(node.processes.task, "task_struct", "nsproxy")
    field = nsproxy_at + np.uint64(kernel.types.offset("nsproxy", "mnt_ns"))
    inode = field - np.uint64(kernel.types.offset("inode", "i_private"))
    alive = nsproxy_at != 0
    expected = [b"mnt:[%d]" % number for number in found_in(node).inum["mnt"][alive].tolist()]
    assert nsproxy.links(kernel, inode[alive]) == expected
    assert len(set(expected)) > 1
    assert nsproxy.links(kernel, np.zeros(1, np.uint64)) == [None]
