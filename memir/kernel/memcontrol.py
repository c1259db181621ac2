# SPDX-License-Identifier: Apache-2.0
"""include/linux/memcontrol.h: the cgroup that a page is charged to, by what its struct page says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.pagetable import U64
from memir.kernel.rows import among

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_VECTOR, _KERNEL = np.uint64(1), np.uint64(2)  # MEMCG_DATA_OBJCGS (now OBJEXTS), MEMCG_DATA_KMEM
_FLAGS = np.uint64(7)


def member(kernel: Kernel) -> int | None:
    """Offset of page.memcg_data; of page.mem_cgroup before 5.11 (bcfe06bf2622). None without memory cgroups."""
    for name in ("memcg_data", "mem_cgroup"):
        if kernel.types.has("page", name):
            return kernel.types.offset("page", name)
    return None


def cgroups_of(kernel: Kernel, data: U64, cgroup: U64) -> U64:
    """The struct cgroup that each value of memcg_data leads to, 0 for none: uint64[n].

    A slab's value is a vector with one entry an object, and leads to none. cgroup: those that there are (uint64[m]);
    what leads to no such one is no charge. A cgroup that was removed gives its own struct: its memory keeps it.
    """
    some = np.flatnonzero(data)  # most frames of a large node are free: to sort them all costs most of the time
    unique, back = np.unique(data[some], return_inverse=True)
    plain = np.where((unique & _VECTOR) != 0, np.uint64(0), unique & ~_FLAGS)
    direct = kernel.pointer(plain, "mem_cgroup", "css.cgroup", gap=False)
    charged = np.where(among(direct, cgroup) & ((unique & _KERNEL) == 0), direct, np.uint64(0))
    if kernel.types.has("obj_cgroup", "memcg"):
        # kernel memory by an obj_cgroup since 5.12 (b4e0b68fbd9d); all memory where mem_cgroup lost its own
        memory = kernel.pointer(np.where(charged == 0, plain, np.uint64(0)), "obj_cgroup", "memcg", gap=False)
        through = kernel.pointer(memory, "mem_cgroup", "css.cgroup", gap=False)
        charged = np.where((charged == 0) & among(through, cgroup), through, charged)
    result: U64 = np.zeros(len(data), np.uint64)
    result[some] = charged[back]
    return result
