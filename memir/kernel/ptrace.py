# SPDX-License-Identifier: Apache-2.0
"""include/linux/ptrace.h: who traces whom, as TracerPid of /proc/PID/status shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.pagetable import I64, U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_PID_MAX = 1 << 22


def tracers(kernel: Kernel, task: U64) -> I64:
    """The process (tgid) that traces each task; 0: none, -1: not known. A traced task's parent is its tracer."""
    flags, ok = kernel.try_read(task, "task_struct", "ptrace")
    traced = ok & (flags != 0)
    parent = kernel.pointer(np.where(traced, task, np.uint64(0)), "task_struct", "parent")
    tgid, read = kernel.try_read(parent, "task_struct", "tgid")
    sound = read & (tgid > 0) & (tgid <= _PID_MAX)
    kernel.count_unread("tracer", np.where(traced, task, np.uint64(0)), sound)
    return np.where(traced, np.where(sound, tgid, -1), np.where(ok, 0, -1)).astype(np.int64)
