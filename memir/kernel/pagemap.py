# SPDX-License-Identifier: Apache-2.0
"""include/linux/pagemap.h: pages of files in the page cache, by inode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import xarray
from memir.kernel.pagetable import U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel


_BATCH = 8192  # pages gathered at once: 32 MiB


@dataclass(frozen=True)
class CachedPages:
    """Pages of many files, by file and place. owner: int64[n], which mapping; index: uint64[n], page number in the
    file; pa: uint64[n], physical address. values: int64 per mapping, slots whose page is swapped out or forgotten."""

    owner: NDArray[np.int64]
    index: U64
    pa: U64
    values: NDArray[np.int64]


def cached_pages(kernel: Kernel, mapping: U64) -> CachedPages:
    """Pages of struct address_space objects; a large folio gives each of its pages."""
    heads = kernel.pointer(mapping, "address_space", "i_pages.xa_head")
    entries = xarray.entries(kernel, heads, "page cache")
    pa = kernel.space.page_physical(entries.entry)
    # all slots of a large folio hold its head page; its own index says which part a slot is
    name = kernel.first_member("page", "__folio_index", "index")
    own, ok = kernel.try_read(entries.entry, "page", name)
    inside = np.where(ok & (entries.index >= own) & (entries.index - own < 1 << 18), entries.index - own, 0).astype(
        np.uint64
    )
    return CachedPages(entries.owner, entries.index, pa + (inside << np.uint64(12)), entries.values)


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
