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
    heads = kernel.read(mapping, "address_space", "i_pages.xa_head").astype(np.uint64)
    found = xarray.entries(kernel, heads, "page cache")
    pa = kernel.space.page_physical(found.entry)
    # all slots of a large folio hold its head page; its own index says which part a slot is
    name = kernel.first_member("page", "__folio_index", "index")
    own, ok = kernel.try_read(found.entry, "page", name)
    inside = np.where(ok & (found.index >= own) & (found.index - own < 1 << 18), found.index - own, 0).astype(np.uint64)
    return CachedPages(found.owner, found.index, pa + (inside << np.uint64(12)), found.values)


def read_files(kernel: Kernel, inode: U64, limit: int, kind: str) -> list[bytes | None]:
    """Contents of whole files from the page cache, at most `limit` bytes each; None where a page is not there.

    Meant for small files and for tmpfs, whose pages have no other home.
    """
    size = kernel.read(inode, "inode", "i_size").astype(np.int64)
    mapping = kernel.read(inode, "inode", "i_mapping").astype(np.uint64)
    pages = cached_pages(kernel, mapping)
    wanted = (np.minimum(size, limit) + 4095) // 4096
    keep = pages.index.astype(np.int64) < wanted[pages.owner]
    owner, index = pages.owner[keep], pages.index[keep].astype(np.int64)
    data, ok = kernel.memory.gather(pages.pa[keep], 4096)
    out: list[bytes | None] = []
    start = np.searchsorted(owner, np.arange(len(inode) + 1))
    for row in range(len(inode)):
        mine = slice(int(start[row]), int(start[row + 1]))
        if size[row] < 0 or size[row] > limit or not np.array_equal(index[mine], np.arange(wanted[row])) or not ok[mine].all():
            out.append(None)
            continue
        out.append(data[mine].tobytes()[: int(size[row])])
    missing = [at for at, one in zip(inode.tolist(), out, strict=True) if one is None and at]
    if missing:
        kernel.gaps.add(kind, f"{missing[0]:#x}", "file not whole in the page cache", len(missing))
    return out
