# SPDX-License-Identifier: Apache-2.0
"""include/linux/pagemap.h: pages of files in the page cache, by inode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import fs, xarray
from memir.kernel.pagetable import U64
from memir.kernel.swap import swap_of

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel


_SWP_TYPE_SHIFT = 58  # BITS_PER_XA_VALUE less MAX_SWAPFILES_SHIFT
_SWP_OFFSET_MASK = (1 << _SWP_TYPE_SHIFT) - 1
_BATCH = 8192  # pages gathered at once: 32 MiB


@dataclass(frozen=True)
class CachedPages:
    """Pages of many files, by file and place. owner: int64[n], which mapping; index: uint64[n], page number in the
    file; pa: uint64[n], physical address, of a swapped page of a tmpfs that can be read the one that
    memir.kernel.swap gives it. values: int64 per mapping, slots whose page is swapped out or forgotten."""

    owner: NDArray[np.int64]
    index: U64
    pa: U64
    values: NDArray[np.int64]


def cached_pages(kernel: Kernel, mapping: U64) -> CachedPages:
    """Pages of struct address_space objects; a large folio gives each of its pages, and a tmpfs its swapped ones."""
    heads = kernel.pointer(mapping, "address_space", "i_pages.xa_head")
    entries = xarray.entries(kernel, heads, "page cache", large=True)
    pa = kernel.space.page_physical(entries.entry)
    # all slots of a large folio hold its head page; its own index says which part a slot is
    name = kernel.first_member("page", "__folio_index", "index")
    own, ok = kernel.try_read(entries.entry, "page", name)
    inside = np.where(ok & (entries.index >= own) & (entries.index - own < 1 << 18), entries.index - own, 0).astype(
        np.uint64
    )
    pages = (entries.owner, entries.index, pa + (inside << np.uint64(12)))
    swapped = _swapped(kernel, mapping, entries)
    if len(swapped[0]):
        pages = (np.concatenate((pages[0], swapped[0])), np.concatenate((pages[1], swapped[1])),
                 np.concatenate((pages[2], swapped[2])))  # fmt: skip
        order = np.lexsort((pages[1], pages[0]))
        pages = (pages[0][order], pages[1][order], pages[2][order])
    return CachedPages(*pages, entries.values)


def _swapped(kernel: Kernel, mapping: U64, entries: xarray.Entries) -> tuple[NDArray[np.int64], U64, U64]:
    """(owner, index, address) of pages of tmpfs files that were swapped out and that RAM still has.

    There a value entry is where the page went (radix_to_swp_entry(), include/linux/swapops.h); in other files it is a
    shadow, of a page that was dropped.
    """
    none = np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    if not len(entries.value) or not swap_of(kernel).spaces:
        return none
    host = kernel.pointer(mapping, "address_space", "host", gap=False)
    blocks, back = np.unique(kernel.pointer(host, "inode", "i_sb", gap=False), return_inverse=True)
    kinds = np.array([kind in (b"tmpfs", b"devtmpfs") for kind in fs.types_of(kernel, blocks)], bool)
    ours = kinds[back.reshape(-1)][entries.value_owner]
    value = entries.value[ours]
    place, known = swap_of(kernel).pages(value >> np.uint64(_SWP_TYPE_SHIFT), value & np.uint64(_SWP_OFFSET_MASK))
    return entries.value_owner[ours][known], entries.value_index[ours][known], place[known]


def file_pages(kernel: Kernel, inode: U64, limit: int) -> list[list[bytes | None]]:
    """Pages of each file in order, the last one cut at the file's size; None for a page that is not in the page cache.

    limit: bytes of a file that are read at most; a size that is negative or beyond it is cut there and counted.
    """
    size = kernel.read(inode, "inode", "i_size").astype(np.int64)
    absurd = (size < 0) | (size > limit)
    if absurd.any():
        kernel.gaps.add(
            "file",
            f"inode {int(inode[absurd][0]):#x}",
            f"larger than {limit} bytes: only its start is read",
            int(absurd.sum()),
        )
    size = np.where(size < 0, 0, np.minimum(size, limit))
    pages = cached_pages(kernel, kernel.pointer(inode, "inode", "i_mapping"))
    count = (size + 4095) // 4096
    keep = pages.index < count[pages.owner].astype(np.uint64)
    owner, index = pages.owner[keep], pages.index[keep].astype(np.int64)
    out: list[list[bytes | None]] = [[None] * int(many) for many in count]
    for first in range(0, len(owner), _BATCH):
        part = slice(first, first + _BATCH)
        data, ok = kernel.memory.gather(pages.pa[keep][part], 4096)
        for who, which, page, fine in zip(owner[part].tolist(), index[part].tolist(), data, ok.tolist(), strict=True):
            if fine:
                out[who][which] = page.tobytes()
    for row, cut in enumerate((size % 4096).tolist()):
        last = out[row][-1] if out[row] else None
        if cut and last is not None:
            out[row][-1] = last[:cut]
    return out
