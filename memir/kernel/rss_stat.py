# SPDX-License-Identifier: Apache-2.0
"""include/linux/mm_types_task.h: how many pages of an address space are where, by the kernel's own count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import percpu_counter
from memir.kernel.pagetable import U64, Bools

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_FILE, _ANON, _SWAP, _SHMEM = range(4)  # MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES: an enum without a name


@dataclass(frozen=True)
class PageCounts:
    """int64[n] pages of each address space: of files, anonymous, swapped out, of shared memory; never below 0.

    A thread that runs may not have added its last 64 pages yet. read: whether the counts could be read.
    """

    file: NDArray[np.int64]
    anonymous: NDArray[np.int64]
    swapped: NDArray[np.int64]
    shared: NDArray[np.int64]
    read: Bools


def page_counts(kernel: Kernel, mm: U64) -> PageCounts:
    """Counts of struct mm_struct objects (uint64[n] addresses)."""
    mm = np.asarray(mm, np.uint64)
    start = kernel.embedded(mm, "mm_struct", "rss_stat")
    columns, read = [], np.ones(len(mm), bool)
    if kernel.types.member("mm_struct", "rss_stat").type.kind == "array":
        # 6.2 (f1a7941243c1 "mm: convert mm's rss stats into percpu_counter")
        size = np.uint64(kernel.types.size("percpu_counter"))
        for which in (_FILE, _ANON, _SWAP, _SHMEM):
            place = np.where(start != 0, start + np.uint64(which) * size, np.uint64(0))
            values, ok = percpu_counter.sums(kernel, place)
            columns.append(values)
            read &= ok
    else:  # struct mm_rss_stat { atomic_long_t count[NR_MM_COUNTERS]; }
        for which in (_FILE, _ANON, _SWAP, _SHMEM):
            place = np.where(start != 0, start + np.uint64(8 * which), np.uint64(0))
            words, ok = kernel.try_pointers(place)
            columns.append(words.astype(np.int64))
            read &= ok
    file, anonymous, swapped, shared = (np.maximum(np.where(read, column, 0), 0) for column in columns)
    return PageCounts(file, anonymous, swapped, shared, read)
