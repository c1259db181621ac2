# SPDX-License-Identifier: Apache-2.0
"""Limits of processes: that of pending signals as /proc/PID/status has it, the kernel's own of the first process."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel.engine import Kernel
from memir.kernel.resource import NAMES, limits
from memir.kube.ram import RamSource
from tests.damage import damaged, patched
from tests.injected import task_of, with_members
from tests.status import status

NodeOf = Callable[[str], RamSource]


def of_each(node: RamSource) -> dict[int, dict[str, list[str]]]:
    found = limits(node.kernel, node.processes.task)
    pids = [process.pid for process in node.processes.rows]
    return {
        pid: {name: values for name, *values in (line.split() for line in lines or [])}
        for pid, lines in zip(pids, found, strict=True)
    }


def test_as_recorded(image: str, node_of: NodeOf) -> None:
    node, truth = node_of(image), status(image)
    found = of_each(node)
    assert all(list(each) == list(NAMES) for each in found.values())
    shown = {pid: truth[pid]["SigQ"].split("/")[1] for pid in found.keys() & truth.keys()}
    assert {pid: found[pid]["sigpending"][0] for pid in shown} == shown
    assert len(shown) >= (0 if image.startswith("node-") else 10)
    kernel_thread = found[2]
    assert kernel_thread["nofile"] == ["1024", "4096"] and kernel_thread["stack"] == ["8388608", "unlimited"]


def test_torn_or_absurd(node_of: NodeOf) -> None:
    """A soft limit above its hard one is none that the kernel has."""
    node = node_of("s-6.1-small")
    task = task_of(node, 1)
    signal = int(node.kernel.pointer(np.array([task], np.uint64), "task_struct", "signal")[0])
    rlim = node.kernel.types.offset("signal_struct", "rlim") - node.kernel.types.offset("signal_struct", "tty")
    pair = {(signal + rlim, "signal_struct", "tty"): 1 << 60, (signal + rlim + 8, "signal_struct", "tty"): 5}
    torn = with_members(node, pair)
    assert limits(torn.kernel, np.array([task], np.uint64)) == [None]
    assert [gap.count for gap in torn.gaps if gap.kind == "limits"] == [1]


def test_a_part_that_was_zeroed(node_of: NodeOf) -> None:
    """Limits on two pages, of which a torn capture has one: none of them is told."""
    node = node_of("s-6.1-small")
    signal = node.kernel.pointer(node.processes.task[:1], "task_struct", "signal")
    at = int(signal[0]) + node.kernel.types.offset("signal_struct", "rlim")
    ((pa,), _) = node.kernel.space.physical(np.array([at], np.uint64))
    memory = damaged(node.kernel.memory, patched(node.kernel.memory, {int(pa): bytes(5 * 16)}))
    kernel = Kernel(memory, node.kernel.anchors)
    assert limits(kernel, node.processes.task[:2])[0] is None
    assert limits(kernel, node.processes.task[:2])[1] is not None
    assert ("limits", 2) in [(gap.kind, gap.count) for gap in kernel.gaps]


def test_of_no_process(node_of: NodeOf) -> None:
    """Of an image whose processes all lie in what is missing."""
    assert limits(node_of("s-6.1-small").kernel, np.zeros(0, np.uint64)) == []
