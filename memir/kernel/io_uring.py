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
