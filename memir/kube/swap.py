# SPDX-License-Identifier: Apache-2.0
"""Memory that was swapped out and that RAM does not hold compressed either: counted, as it cannot be read."""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol

import numpy as np

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kernel.mm import page_roots
from memir.kernel.rss_stat import page_counts
from memir.kernel.swap import swap_of
from memir.kube.owner import Owners
from memir.kube.processes import ProcessList


class Source(Protocol):
    """What is asked of a node (see ram.RamSource)."""

    @property
    def kernel(self) -> Kernel:
        """The located kernel."""

    @property
    def gaps(self) -> Gaps:
        """Where gaps are counted."""

    @property
    def processes(self) -> ProcessList:
        """Every process."""

    @property
    def owners(self) -> Owners:
        """Whose a process is."""


_MOST = 1 << 36
"""Pages: more than any swap space has; a larger count is damage."""
_UNSURE = 128
"""Pages by which the kernel's count may lag behind the page tables."""


def swapped_pages(node: Source) -> dict[int, int]:
    """Pages swapped out that cannot be read, by pid; processes that share an address space have the same.

    Pages that zram or zswap hold in RAM are read (memir/kernel/swap.py), and not counted. What the kernel counts and no
    page table names, as where a table is not in the image, cannot be read either.
    """
    rows = node.processes.rows
    task = np.array([row.task for row in rows], np.uint64)
    mm = node.kernel.pointer(task, "task_struct", "mm", gap=False)
    counts = page_counts(node.kernel, mm)
    node.kernel.count_unread("swap", mm, counts.read | (mm == 0))
    some = np.flatnonzero((mm != 0) & (counts.swapped < _MOST) & (counts.swapped > 0))
    count = np.zeros(len(mm), np.int64)
    readable, lost = swap_of(node.kernel).counts(page_roots(node.kernel, mm[some]))
    unnamed = counts.swapped[some] - readable - lost
    count[some] = lost + np.where(unnamed > np.where(readable + lost > 0, _UNSURE, 0), unnamed, 0)
    return {row.pid: pages for row, pages in zip(rows, count.tolist(), strict=True) if pages}


def count_swapped(node: Source) -> dict[int, int]:
    """Pages swapped out by pid, made gaps: one a pod, and one for the node's own processes; the count is in pages."""
    by_pid = swapped_pages(node)
    pages: dict[str, int] = defaultdict(int)
    most: dict[str, tuple[int, int]] = {}
    for pid, count in by_pid.items():
        owner = node.owners.process(pid)
        whose = "processes of no pod" if owner is not None else "processes whose place is not known"
        if owner is not None and (owner.pod_uid or owner.pod_name):
            whose = "pod " + "/".join(part for part in (owner.namespace, owner.pod_name or owner.pod_uid) if part)
        pages[whose] += count
        most[whose] = max(most.get(whose, (0, 0)), (count, pid))
    for whose, count in pages.items():
        where = f"pid {most[whose][1]} ({most[whose][0]} pages)"
        node.gaps.add("swap", where, f"pages of {whose} swapped out: not in RAM, neither read nor scanned", count)
    return by_pid
