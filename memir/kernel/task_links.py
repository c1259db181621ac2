# SPDX-License-Identifier: Apache-2.0
"""include/linux/list.h, kernel/exit.c: whether a task's own links say that it was taken out of the list of tasks.

The kernel takes a process out when it has ended, and not before (release_task(), after exit_state). So links that are
poisoned or lead to themselves in a task that has not ended are another's work, also in RAM that was read while its
machine ran: both stand in the same task_struct.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.pagetable import I64, U64
from memir.kernel.rows import among

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_POISON = np.array([base + end for base in (0, 0xDEAD_0000_0000_0000) for end in (0x100, 0x122)], np.uint64)
"""LIST_POISON1, LIST_POISON2, without and with CONFIG_ILLEGAL_POINTER_VALUE."""


def unlinked(kernel: Kernel, task: U64) -> I64:
    """1: taken out though it has not ended; 0: not; -1: not known. task: leaders of thread groups, int64[n]."""
    ended, known = kernel.try_read(task, "task_struct", "exit_state")
    after, first = kernel.try_read(task, "task_struct", "tasks.next")
    before, second = kernel.try_read(task, "task_struct", "tasks.prev")
    after, before = after.astype(np.uint64), before.astype(np.uint64)
    own = task + np.uint64(kernel.types.offset("task_struct", "tasks"))
    out = among(after, _POISON) | among(before, _POISON) | ((after == own) & (before == own))
    # zeros are a page that was not read: the kernel writes none there
    sound = known & first & second & (after != 0) & (before != 0)
    return np.where(sound, out & (ended == 0), -1).astype(np.int64)
