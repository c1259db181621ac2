# SPDX-License-Identifier: Apache-2.0
"""include/linux/rmap.h: whether memory that a process's page tables name is still its own.

RAM that is read while its machine runs is of many moments: a process that ends meanwhile gives back its pages, and its
page tables may have been read before, what lies in the pages after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.gaps import Gaps
from memir.kernel import rmap
from memir.kernel.mm import page_roots
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.swap import swap_of
from memir.kernel.vma import vmas

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_BOUNDS = ("arg_start", "env_start")


def foreign_words(kernel: Kernel, mm: U64) -> Bools:
    """Of which mm_structs the pages that arguments and environment begin in are not shown to be their own: bool[n]."""
    foreign = np.zeros(len(mm), bool)
    if not len(mm):
        return foreign
    for bound in _BOUNDS:
        va = kernel.read(mm, "mm_struct", bound).astype(np.uint64)
        foreign |= (va != 0) & ~own(kernel, mm, va)
    for kind in ("args", "environ"):
        kernel.count_unread(kind, mm, ~foreign, "memory that may have become another process's while RAM was read")
    return foreign


def own(kernel: Kernel, mm: U64, va: U64) -> Bools:
    """Whether the page of each user address is an anonymous page of the region there, or one that RAM holds swapped."""
    space, of = np.unique(mm, return_inverse=True)
    kept, kernel.gaps = kernel.gaps, Gaps()  # the regions are read again where they are a table, and counted there
    try:
        every = vmas(kernel, space)
    finally:
        kernel.gaps = kept
    pa, mapped = kernel.space.user_physical(page_roots(kernel, mm), va, swap_of(kernel).places)
    region = _region(every.owner, every.start, every.end, of, va)
    here = np.flatnonzero(mapped & (region >= 0))
    page = (va[here] - every.start[region[here]]) >> np.uint64(12)
    swapped = pa[here] >= np.uint64(kernel.memory.end)
    good = np.zeros(len(mm), bool)
    good[here] = swapped | rmap.is_of(kernel, every.vma[region[here]], every.pgoff[region[here]] + page, pa[here])
    return good


def _region(owner: I64, start: U64, end: U64, of: I64, va: U64) -> I64:
    """Row of the region that each address lies in, -1 for none."""
    rows = np.full(len(va), -1, np.int64)
    for number, (mine, address) in enumerate(zip(of.tolist(), va.tolist(), strict=True)):
        inside = np.flatnonzero((owner == mine) & (start <= np.uint64(address)) & (np.uint64(address) < end))
        rows[number] = inside[0] if len(inside) else -1
    return rows
