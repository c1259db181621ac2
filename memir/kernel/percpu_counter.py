# SPDX-License-Identifier: Apache-2.0
"""include/linux/percpu_counter.h, percpu.h: counters that each processor counts by itself.

struct percpu_counter holds `s64 count` and `s32 __percpu *counters`: the sum, and what each processor has not yet added
to it (up to a batch, 32 or twice the number of processors).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.pagetable import U64, Bools
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

MAX_CPUS = 8192
"""CONFIG_NR_CPUS at most, on x86-64; arm64 allows 4,096."""


def cpu_offsets(kernel: Kernel) -> U64:
    """uint64[c]: what each possible processor adds to a __percpu address (__per_cpu_offset[]).

    Empty if the kernel has no such array (one processor) or says an absurd number of processors.
    """
    table, number = kernel.symbols.get("__per_cpu_offset"), kernel.symbols.get("nr_cpu_ids")
    if table is None or number is None:
        return np.zeros(0, np.uint64)
    pa, known = kernel.space.physical(u64(number))
    count, ok = kernel.memory.gather_as(pa, "<u4")
    if not (known[0] and ok[0]) or not 0 < int(count[0]) <= MAX_CPUS:
        kernel.gaps.add("per-CPU", "nr_cpu_ids", "number of processors not readable or absurd")
        return np.zeros(0, np.uint64)
    return kernel.pointers(np.uint64(table) + np.arange(int(count[0]), dtype=np.uint64) * np.uint64(8))


def sums(kernel: Kernel, counter: U64) -> tuple[NDArray[np.int64], Bools]:
    """(int64[n], read bool[n]) of struct percpu_counter objects, as percpu_counter_sum() adds them up.

    A processor whose part cannot be read counts as 0: it is off by a batch at most.
    """
    total, ok = kernel.try_read(counter, "percpu_counter", "count")
    total = total.astype(np.int64)
    parts, _ = kernel.try_read(counter, "percpu_counter", "counters")
    for offset in cpu_offsets(kernel).tolist():
        with np.errstate(over="ignore"):  # addresses wrap, as in the kernel
            address = np.where(parts != 0, parts.astype(np.uint64) + np.uint64(offset), np.uint64(0))
        pa, known = kernel.space.physical(address)
        value, read = kernel.memory.gather_as(pa, "<i4")
        total += np.where(known & read & (address != 0), value, 0).astype(np.int64)
    return total, ok
