# SPDX-License-Identifier: Apache-2.0
"""kernel/kthread.c and workqueue_internal.h: the names of kernel threads as /proc and ps show them.

A task's comm holds 15 bytes. Since 5.17 (d6986ce24fc0) a kernel thread keeps its full name, and a workqueue's worker
has always told what it works on: `kworker/0:1-events`, with + while it is at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.pagetable import U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

PF_KTHREAD = 0x0020_0000
PF_WQ_WORKER = 0x0000_0020
_NAME_MAX = 64


def names(kernel: Kernel, task: U64, flags: U64, comm: list[bytes | None]) -> list[bytes | None]:
    """comm, with what /proc/PID/comm shows in its place for kernel threads; as proc_task_name() puts it together."""
    longer = list(comm)
    types = kernel.types
    if not types.exists("kthread"):
        return longer
    # before 5.17 (e32cf5dfbe22) set_child_tid held the pointer
    member = kernel.first_member("task_struct", "worker_private", "set_child_tid")
    rows = np.flatnonzero((flags & np.uint64(PF_KTHREAD)) != 0)
    kthread = kernel.pointer(task[rows], "task_struct", member, gap=False)
    if types.has("kthread", "full_name"):
        full = kernel.strings(kernel.pointer(kthread, "kthread", "full_name", gap=False), _NAME_MAX)
        for row, name in zip(rows.tolist(), full, strict=True):
            # a worker is shown by its task's name, until 6.9 (2a1b02bcba78) made that "kworker/R-" and the queue
            is_worker = bool(flags[row] & np.uint64(PF_WQ_WORKER)) and not (name or b"").startswith(b"kworker/")
            if name and not is_worker and name.startswith(longer[row] or b"\0"):
                longer[row] = name
    if types.has("worker", "desc") and types.has("kthread", "data"):
        works = (flags[rows] & np.uint64(PF_WQ_WORKER)) != 0
        worker = kernel.pointer(kthread[works], "kthread", "data", gap=False)
        busy = kernel.pointer(worker, "worker", "current_work", gap=False)
        # a rescuer that is not at work has no pool, and tells nothing of what it last did
        pool = kernel.pointer(worker, "worker", "pool", gap=False)
        described = kernel.strings(kernel.embedded(worker, "worker", "desc"), types.member("worker", "desc").type.count)
        for row, text, working, pooled in zip(
            rows[works].tolist(), described, busy.tolist(), pool.tolist(), strict=True
        ):
            if text and pooled:
                longer[row] = (longer[row] or b"") + (b"+" if working else b"-") + text
    return longer
