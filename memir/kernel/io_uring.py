# SPDX-License-Identifier: Apache-2.0
"""include/linux/io_uring_types.h: files that are registered with a ring, which may be open nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.pagetable import I64, U64
from memir.kernel.rows import spread

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MOST_FILES = 1 << 15  # IORING_MAX_FIXED_FILES
_FLAGS = np.uint64(7)  # FFS_MASK: what the ring knows of a file stands in the low bits


def rings(kernel: Kernel, file: U64) -> U64:
    """The struct io_ring_ctx of each open file, 0 for one that is no ring."""
    operations = kernel.symbols.get("io_uring_fops")
    if operations is None or not kernel.types.exists("io_ring_ctx"):
        return np.zeros(len(file), np.uint64)
    is_ring = kernel.pointer(file, "file", "f_op", gap=False) == np.uint64(operations)
    return kernel.pointer(np.where(is_ring, file, np.uint64(0)), "file", "private_data")


def own_rings(kernel: Kernel, task: U64) -> tuple[I64, U64]:
    """(index of the task, struct file) of rings that threads have registered for themselves (5.18, e7a6c00dc77a).

    They stay usable by the thread when their descriptors are closed.
    """
    context = np.zeros(len(task), np.uint64)
    if kernel.types.has("task_struct", "io_uring") and kernel.types.has("io_uring_task", "registered_rings"):
        context = kernel.pointer(task, "task_struct", "io_uring", gap=False)
    some = np.flatnonzero(context)
    if not len(some):
        return some, context[some]
    count = kernel.types.member("io_uring_task", "registered_rings").type.count
    row, number = spread(np.full(len(some), count, np.int64))
    place = kernel.embedded(context[some], "io_uring_task", "registered_rings")[row]
    file, read = kernel.try_pointers(place + number.astype(np.uint64) * np.uint64(8))
    kernel.count_unread("io_uring of a thread", place, read)
    return some[row][file != 0], file[file != 0]


def registered(kernel: Kernel, ring: U64) -> tuple[I64, U64]:
    """(index of the ring, struct file) of its registered files; ring: struct io_ring_ctx.

    5.12 to 6.12: a table of io_fixed_file. Newer kernels (6.13, 661768085e1c) keep nodes, 5.10 pages of pointers.
    """
    types = kernel.types
    if types.has("io_ring_ctx", "file_table.data.nodes"):
        count = kernel.read(ring, "io_ring_ctx", "file_table.data.nr").astype(np.int64)
        first = kernel.pointer(ring, "io_ring_ctx", "file_table.data.nodes")
    elif types.has("io_ring_ctx", "file_table.files") and types.has("io_ring_ctx", "nr_user_files"):
        count = kernel.read(ring, "io_ring_ctx", "nr_user_files").astype(np.int64)
        first = kernel.pointer(ring, "io_ring_ctx", "file_table.files")
    else:
        kernel.gaps.add("io_uring", "registered files", "layout not known: not read", len(ring))
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    absurd = (count < 0) | (count > _MOST_FILES)
    kernel.gaps.add("io_uring", f"{int(ring[absurd][0]) if absurd.any() else 0:#x}", "absurd number of files",
                    int(absurd.sum()))  # fmt: skip
    row, number = spread(np.where(absurd | (first == 0), 0, count))
    place = first[row] + number.astype(np.uint64) * np.uint64(8)
    file, read = kernel.try_pointers(place)
    kernel.count_unread("file of an io_uring", place, read)
    if types.has("io_ring_ctx", "file_table.data.nodes"):
        file = kernel.pointer(file, "io_rsrc_node", "file_ptr")
    file &= ~_FLAGS
    return row[file != 0], file[file != 0]
