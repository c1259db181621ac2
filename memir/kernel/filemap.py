# SPDX-License-Identifier: Apache-2.0
"""mm/filemap.c: content of files from the page cache, page by page, and what of them is not there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import slab
from memir.kernel.pagemap import cached_pages
from memir.kernel.pagetable import U64, Bools

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

PAGE = 4096
_BATCH = 4096  # pages gathered at once: 16 MiB
_MOST = (1 << 63) - PAGE  # bytes of a file: MAX_LFS_FILESIZE, less a page so that no sum overflows
_READABLE = 1 << 16  # pages asked for at once whether the image has them


@dataclass(frozen=True)
class Content:
    """Pages of one file that are in RAM, ascending. index: int64[n], page number in the file, each once and below its
    size; pa: uint64[n], where it lies; size: bytes of the file."""

    index: NDArray[np.int64]
    pa: U64
    size: int

    @property
    def complete(self) -> bool:
        """Whether every page of the file is there."""
        return len(self.index) == -(-self.size // PAGE)

    def spans(self) -> list[tuple[int, int]]:
        """(start, end) in bytes of what is there, ascending, the last cut at the file's size."""
        if not len(self.index):
            return []
        breaks = np.flatnonzero(np.diff(self.index) != 1)
        first = self.index[np.concatenate(([0], breaks + 1))].tolist()
        last = self.index[np.concatenate((breaks, [len(self.index) - 1]))].tolist()
        return [(a * PAGE, min((b + 1) * PAGE, self.size)) for a, b in zip(first, last, strict=True)]

    def holes(self) -> list[tuple[int, int]]:
        """(start, end) in bytes of what is not in RAM."""
        edges = [0, *(edge for span in self.spans() for edge in span), self.size]
        return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]

    def chunks(self, kernel: Kernel) -> Iterator[tuple[int, bytes]]:
        """(offset in the file, bytes) of what is there, ascending, never across a hole."""
        for begin in range(0, len(self.index), _BATCH):
            part = slice(begin, begin + _BATCH)
            data = kernel.memory.gather(self.pa[part], PAGE)[0]
            index = self.index[part]
            for run in np.split(np.arange(len(index)), np.flatnonzero(np.diff(index) != 1) + 1):
                offset = int(index[run[0]]) * PAGE
                yield offset, data[run].tobytes()[: self.size - offset]


def contents(kernel: Kernel, mapping: U64, size: NDArray[np.int64]) -> list[Content]:
    """What RAM holds of each file (struct address_space uint64[n], bytes int64[n]); a negative size counts as 0."""
    pages = cached_pages(kernel, mapping)
    size = np.clip(size, 0, _MOST)
    inside = pages.index < ((size + PAGE - 1) // PAGE)[pages.owner].astype(np.uint64)
    owner, index, pa = pages.owner[inside], pages.index[inside].astype(np.int64), pages.pa[inside]
    there = np.concatenate(
        [kernel.memory.gather(pa[row : row + _READABLE], 1)[1] for row in range(0, len(pa), _READABLE)]
        or [np.zeros(0, bool)]
    )
    owner, index, pa = owner[there], index[there], pa[there]
    fresh = np.ones(len(owner), bool)
    fresh[1:] = (owner[1:] != owner[:-1]) | (index[1:] != index[:-1])
    owner, index, pa = owner[fresh], index[fresh], pa[fresh]
    edge = np.searchsorted(owner, np.arange(len(mapping) + 1))
    return [
        Content(index[edge[row] : edge[row + 1]], pa[edge[row] : edge[row + 1]], int(size[row]))
        for row in range(len(mapping))
    ]


def page_hash(page: bytes) -> tuple[bytes, bool]:
    """(SHA-256 of a page, blank): all its bytes are one and the same, so that it says nothing of which file it is."""
    return hashlib.sha256(page).digest(), page.count(page[0]) == len(page)


def page_hashes(kernel: Kernel, content: Content) -> Iterator[tuple[int, bytes, bool]]:
    """(offset, SHA-256, blank) of each page of a file that is there, ascending; the last ends where the file does."""
    for offset, data in content.chunks(kernel):
        for start in range(0, len(data), PAGE):
            yield offset + start, *page_hash(data[start : start + PAGE])


def dirty(kernel: Kernel, pfn: U64) -> Bools:
    """Which of these frames hold what has not been written to disk yet (PG_dirty, of a large folio its head's)."""
    head = slab.heads(kernel, kernel.space.struct_page(np.asarray(pfn, np.uint64) << np.uint64(12)))
    flags = kernel.pointers(head + np.uint64(kernel.types.offset("page", "flags")))
    number = (kernel.types.enum("pageflags") or {}).get("PG_dirty", 4)
    changed: Bools = ((flags >> np.uint64(number)) & np.uint64(1)) != 0
    return changed


def sha256(kernel: Kernel, content: Content) -> str | None:
    """SHA-256 of a file in hex, None if a page of it is missing."""
    if not content.complete:
        return None
    digest = hashlib.sha256()
    for _, data in content.chunks(kernel):
        digest.update(data)
    return digest.hexdigest()
