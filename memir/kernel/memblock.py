# SPDX-License-Identifier: Apache-2.0
"""include/linux/memblock.h: the boot allocator's list of RAM, which arm64 keeps (ARCH_KEEP_MEMBLOCK)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.image.layout import MAX_PHYSICAL, Range
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

MEMBLOCK_NOMAP = 0x4
_MAX_REGIONS = 1 << 12  # begins with 128 and doubles; firmware names some hundred


def memory(kernel: Kernel) -> list[Range] | None:
    """RAM that the kernel maps, ascending; None if it is not readable or not kept.

    x86-64 gives the list back after boot, and what then lies there means nothing: it is not asked.
    """
    address = kernel.symbols.get("memblock")
    if address is None or kernel.anchors.arch != "arm64" or not kernel.types.has("memblock", "memory.regions"):
        return None
    count, counted = kernel.try_read(u64(address), "memblock", "memory.cnt")
    regions, read = kernel.try_read(u64(address), "memblock", "memory.regions")
    if not (counted[0] and read[0]) or not 0 < count[0] <= _MAX_REGIONS:
        return None
    size = kernel.types.size("memblock_region")
    rows = regions.astype(np.uint64) + np.arange(int(count[0]), dtype=np.uint64) * np.uint64(size)
    columns = [kernel.try_read(rows, "memblock_region", name) for name in ("base", "size", "flags")]
    if not all(known.all() for _, known in columns):
        return None
    base, length, flags = (values.astype(np.uint64).tolist() for values, _ in columns)
    ranges = [
        Range(first, many)
        for first, many, flag in zip(base, length, flags, strict=True)
        if many and not flag & MEMBLOCK_NOMAP
    ]
    ranges.sort(key=lambda part: part.start)
    return ranges if ranges and ranges[-1].end <= MAX_PHYSICAL else None
