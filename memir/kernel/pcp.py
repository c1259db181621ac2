# SPDX-License-Identifier: Apache-2.0
"""include/linux/mmzone.h, struct per_cpu_pages: free blocks of several pages that a processor keeps to itself.

Since 5.14 (44042b449872) these lists hold blocks of order 1 to 3, and of a whole page block; nothing in a block's
struct pages says how long it is, only the list that it is on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel import mmzone, percpu_counter
from memir.kernel.list import list_nodes
from memir.kernel.pagetable import I64, U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_COSTLY = 3  # PAGE_ALLOC_COSTLY_ORDER
_HUGE = 9  # pageblock_order where pages are 4 KiB: of a huge page


def blocks(kernel: Kernel) -> tuple[U64, I64]:
    """(first frame uint64[n], order int64[n]) of free blocks of more than one page on processors' own lists."""
    none = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    zones = mmzone.zones(kernel)
    offsets = percpu_counter.cpu_offsets(kernel)
    kinds = (kernel.types.enum("migratetype") or {}).get("MIGRATE_PCPTYPES")
    if not kernel.types.has("zone", "per_cpu_pageset") or kinds is None or not len(zones) or not len(offsets):
        return none
    lists = kernel.types.member("per_cpu_pages", "lists")
    number = lists.type.count
    if number <= kinds:  # a kernel whose lists hold single pages alone
        return none
    percpu = kernel.pointer(zones, "zone", "per_cpu_pageset", gap=False)
    with np.errstate(over="ignore"):  # addresses wrap, as in the kernel
        own = (percpu[percpu != 0][:, None] + offsets).reshape(-1)
    index = np.arange(kinds, number)
    order = np.where(index // kinds <= _COSTLY, index // kinds, _HUGE).astype(np.int64)
    head = own[:, None] + np.uint64(lists.offset) + (index.astype(np.uint64) * np.uint64(16))
    row, node = list_nodes(kernel, head.reshape(-1), "free pages of a processor")
    member = kernel.first_member("page", "pcp_list", "lru")
    pfn = kernel.space.page_physical(kernel.container(node, "page", member)) >> np.uint64(12)
    return pfn, np.tile(order, len(own))[row]
