# SPDX-License-Identifier: Apache-2.0
"""include/linux/mmzone.h: how many pages of RAM the zones of memory count, and where the last one lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.image.layout import MAX_PHYSICAL
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
    from memir.kernel.pagetable import U64

PAGE = 4096
_MAX_NODES = 1024  # MAX_NUMNODES: NODES_SHIFT is 10 at the most


def zones(kernel: Kernel) -> U64:
    """struct zone of every memory node, also of zones that have no pages; none where they cannot be found.

    NUMA kernels have a pglist_data a node behind node_data[], others the one contig_page_data.
    """
    if not kernel.types.has("pglist_data", "node_zones"):
        return np.zeros(0, np.uint64)
    own = kernel.types.member("pglist_data", "node_zones").type
    size = kernel.types.size("zone")
    single, many = kernel.symbols.get("contig_page_data"), kernel.symbols.get("node_data")
    if single is not None:
        nodes = u64(single)
    elif many is not None:
        nodes, _ = kernel.try_pointers(np.uint64(many) + np.arange(_MAX_NODES, dtype=np.uint64) * np.uint64(8))
        used = np.flatnonzero(~kernel.space.is_kernel_pointer(nodes))
        nodes = nodes[: int(used[0])] if len(used) else nodes
    else:
        return np.zeros(0, np.uint64)
    first = kernel.embedded(nodes, "pglist_data", "node_zones")
    return (first[:, None] + np.arange(own.count, dtype=np.uint64) * np.uint64(size)).reshape(-1)


def present_bytes(kernel: Kernel) -> int | None:
    """Bytes of RAM that all zones say are present (zone.present_pages); None if any zone cannot be read."""
    every = zones(kernel)
    if not len(every):
        return None
    pages, read = kernel.try_read(every, "zone", "present_pages")
    if not read.all():
        return None
    total = int(pages.astype(np.uint64).sum()) * PAGE
    return total if 0 < total <= MAX_PHYSICAL else None


def highest_address(kernel: Kernel) -> int | None:
    """First physical address after all RAM, as max_pfn has it; None if it is not readable."""
    address = kernel.symbols.get("max_pfn")
    if address is None:
        return None
    value, read = kernel.try_pointers(u64(address))
    return int(value[0]) * PAGE if read[0] and 0 < value[0] <= MAX_PHYSICAL // PAGE else None
