# SPDX-License-Identifier: Apache-2.0
"""User pages of address spaces, without large pages that no table of this node can mean.

RAM that is read while its node runs has tables that are other data by then. Random words rarely make sense as a large
page (Format.present), but one that does stands for 512 or 262,144 pages: 566 of them on a node of 192 MiB were 148
million pages, and 7 GB of arrays. A hostile image needs 4 KiB for as many.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.mmzone import highest_address
from memir.kernel.pagetable import PAGE_SIZE, U64, Absent, Bools, Mappings

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

TIMES = 2
"""Large pages of one address space are believed up to so many times the image's size: pages may be mapped twice."""


def user_mappings(kernel: Kernel, roots: U64, absent: Absent | None = None) -> Mappings:
    """As AddressSpace.user_mappings, without large pages beyond RAM and without more of them than RAM has.

    What is left out is counted as a gap, in pages. roots: from mm.page_roots().
    """
    maps = kernel.space.user_mappings(roots, absent)
    size = kernel.memory.end + kernel.memory.missing
    odd = implausible(maps, max(size, highest_address(kernel) or 0), TIMES * size)
    if not odd.any():
        return maps
    pages = int((maps.size[odd] // np.uint64(PAGE_SIZE)).sum())
    kernel.gaps.once("page table", "user", "large page beyond RAM: its table is other data by now, or a device", pages)
    kept = {name: getattr(maps, name)[~odd] for name in ("owner", "va", "pa", "size", "entry")}
    return replace(maps, **kept)


def implausible(maps: Mappings, end: int, most: int) -> Bools:
    """Which entries are large pages that do not lie below `end`, or come after `most` bytes of them in their space."""
    large = maps.size > np.uint64(PAGE_SIZE)
    odd: Bools = large & (maps.pa + maps.size > np.uint64(end))
    if not large.any():
        return odd
    sizes = np.where(large & ~odd, maps.size, np.uint64(0))
    sums = np.cumsum(sizes)
    first = np.searchsorted(maps.owner, maps.owner)  # of the same space: owners ascend
    odd |= (sizes > 0) & (sums - sums[first] + sizes[first] > np.uint64(most))
    return odd
