# SPDX-License-Identifier: Apache-2.0
"""include/linux/fdtable.h: open files of many processes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import spread

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

MAX_FDS = 1 << 20
"""sysctl fs.nr_open's default: a process cannot have more unless an administrator raised it."""


def open_files(kernel: Kernel, task: U64) -> tuple[NDArray[np.int64], NDArray[np.int64], U64]:
    """Open files of tasks: (index of the task, file descriptor, address of struct file)."""
    files = kernel.pointer(task, "task_struct", "files")
    table = kernel.pointer(files, "files_struct", "fdt")
    count = kernel.read(table, "fdtable", "max_fds").astype(np.int64)
    absurd = count > MAX_FDS
    if absurd.any():
        kernel.gaps.add(
            "open files", f"{int(table[absurd][0]):#x}", f"more than {MAX_FDS} descriptors", int(absurd.sum())
        )
    count = np.where(absurd | (table == 0), 0, count)
    array = kernel.pointer(table, "fdtable", "fd")
    owner, fd = spread(count)
    slot = array[owner] + np.uint64(8) * fd.astype(np.uint64)
    file, ok = kernel.try_pointers(slot)
    kernel.count_unread("open files", slot, ok)
    used = file != 0
    return owner[used].astype(np.int64), fd[used].astype(np.int64), file[used]


def close_on_exec(kernel: Kernel, task: U64, number: NDArray[np.int64]) -> Bools:
    """Whether exec closes these descriptors, each of the task beside it: the table has that, not the file."""
    files = kernel.pointer(task, "task_struct", "files")
    words = kernel.pointer(kernel.pointer(files, "files_struct", "fdt"), "fdtable", "close_on_exec")
    place = np.where(words != 0, words + np.uint64(8) * (number >> 6).astype(np.uint64), np.uint64(0))
    word, ok = kernel.try_pointers(place)
    kernel.count_unread("close-on-exec bits", place, ok)
    closed: Bools = ok & ((word >> (number & 63).astype(np.uint64)) & np.uint64(1) != 0)
    return closed
