# SPDX-License-Identifier: Apache-2.0
"""include/linux/seccomp.h: how many filters a task has, as Seccomp_filters of /proc/PID/status shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import chain
from memir.kernel.pagetable import I64, U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

FILTER = 2
"""Mode in which filters judge system calls (SECCOMP_MODE_FILTER)."""


def filters(kernel: Kernel, task: U64, mode: I64) -> I64:
    """How many filters judge each task's system calls, the chain of struct seccomp_filter walked; -1: not known.

    mode: int64[n], as cred.credentials() has it.
    """
    if not kernel.types.has("task_struct", "seccomp.filter"):
        return np.zeros(len(task), np.int64)
    first, ok = kernel.try_read(task, "task_struct", "seccomp.filter")
    first = np.where(ok, first, 0).astype(np.uint64)
    owner, _ = chain(kernel, first, kernel.types.offset("seccomp_filter", "prev"), "seccomp filter")
    count = np.bincount(owner, minlength=len(task)).astype(np.int64)
    return np.where(ok & ((count > 0) == (mode == FILTER)), count, -1)
