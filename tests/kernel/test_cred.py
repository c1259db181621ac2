# SPDX-License-Identifier: Apache-2.0
"""Credentials of tasks: against /proc/PID/status, and on tasks whose cred is torn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel.cred import credentials
from memir.kernel.engine import Kernel
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.damage import damaged, patched
from tests.images import case

NodeOf = Callable[[str], RamSource]


def test_who_each_process_is(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    found = credentials(node.kernel, node.processes.task)
    assert found.known.all()
    compared = 0
    for at, row in enumerate(node.processes.rows):
        truth = case(image).recorded().get(row.pid)
        if truth is None:
            continue
        assert int(found.uid[at]) == truth.uid, row.pid
        assert int(found.cap_effective[at]) == truth.cap_effective, row.pid
        assert truth.seccomp in (None, int(found.seccomp[at])), row.pid
        compared += 1
    assert compared > 30
    assert found.uid.dtype == np.uint32 and found.seccomp.dtype == np.int32
    assert len(set(found.uid.tolist())) > 1  # not all are root


def test_user_namespaces(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    found = credentials(node.kernel, node.processes.task)
    inum = node.kernel.read(found.user_ns, "user_namespace", "ns.inum")
    recorded = case(image).recorded()
    shown = {
        at: recorded[row.pid].namespaces["user"] for at, row in enumerate(node.processes.rows) if row.pid in recorded
    }
    assert {at: int(inum[at]) for at in shown if shown[at]} == {at: number for at, number in shown.items() if number}


def test_a_page_of_zeros_is_not_root(node_of: NodeOf) -> None:
    """A torn cred reads as uid 0: it is not believed, and counted."""
    node = node_of("s-6.1-small")
    kernel = node.kernel
    task = node.processes.task[:2]
    pa, _ = kernel.space.physical(kernel.pointer(task, "task_struct", "real_cred"))
    size = kernel.types.size("cred")
    torn = Kernel(damaged(kernel.memory, patched(kernel.memory, {int(pa[0]): bytes(size)})), kernel.anchors)
    found = credentials(torn, task)
    same = pa[0] == pa[1]
    assert found.known.tolist() == [False, not same]
    assert [gap.count for gap in torn.gaps if gap.kind == "cred"] == [1 + int(same)]
    none = credentials(torn, u64(0))
    assert not none.known.any() and none.uid.tolist() == [0]
