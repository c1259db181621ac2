# SPDX-License-Identifier: Apache-2.0
"""Filters of system calls: their number as /proc/PID/status has it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel.cred import credentials
from memir.kernel.seccomp import FILTER, filters
from memir.kube.ram import RamSource
from tests.injected import member_at, task_of, with_members
from tests.status import status

NodeOf = Callable[[str], RamSource]


def counted(node: RamSource) -> dict[int, int]:
    task = node.processes.living
    mode = credentials(node.kernel, task).seccomp.astype(np.int64)
    pids = [process.pid for process in node.processes.rows]
    return dict(zip(pids, filters(node.kernel, task, mode).tolist(), strict=True))


def test_as_recorded(image: str, node_of: NodeOf) -> None:
    """Seccomp_filters; on the node, whose recording has none, who is in the filter mode has filters, and who is not has
    none. systemd gives its services about twenty."""
    node, truth = node_of(image), status(image)
    found = counted(node)
    shown = {pid: int(truth[pid]["Seccomp_filters"]) for pid in found.keys() & truth.keys()}
    assert {pid: found[pid] for pid in shown} == shown
    mode = {process.pid: process.seccomp for process in node.processes.rows}
    assert {pid for pid, count in found.items() if count} == {pid for pid, how in mode.items() if how == FILTER}
    assert max(found.values()) < 64
    if image == "node-6.1":
        assert sorted(count for count in found.values() if count) == [1, 1, 1, 1, 20, 20, 26, 29]


def test_chain_that_loops_or_contradicts_the_mode(node_of: NodeOf) -> None:
    """Bounded, and not known."""
    clean = node_of("s-6.1-small")
    task = task_of(clean, 1)
    kernel = clean.kernel
    own = task - kernel.types.offset("seccomp_filter", "prev")  # a word of the task that leads back to itself
    looping = with_members(clean, {(task, "task_struct", "seccomp.filter"): own,
                                   (own, "seccomp_filter", "prev"): own})  # fmt: skip
    assert member_at(looping, own, "seccomp_filter", "prev")[1] == own
    found = filters(looping.kernel, np.array([task], np.uint64), np.array([0]))
    assert found.tolist() == [-1]
    assert "seccomp filter" in {gap.kind for gap in looping.gaps}
