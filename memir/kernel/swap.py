# SPDX-License-Identifier: Apache-2.0
"""include/linux/swap.h, swapops.h: swap spaces, and pages in them that RAM still has: compressed, or in the swap cache.

A page that can be read is given an address that no RAM has, made of its swap space and its number in it, at which the
image's memory then has it (PhysicalMemory.extend): whoever reads pages by page tables reads these too. It is unpacked
when it is first touched.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from memir.image.layout import Layout, Segment
from memir.image.lazy import PAGE, LazyBacking
from memir.image.memory import PhysicalMemory
from memir.image.source import LazyFile
from memir.kernel import xarray, zram, zswap
from memir.kernel.engine import texts
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

BEYOND = 1 << 55
"""First address of a swapped page: no page-table entry can name it, as they have at most 52 bits."""
_TYPE_SHIFT = 46  # 2^34 pages, 64 TiB, of each swap space
_TYPES = 32  # MAX_SWAPFILES has at most 5 bits
_MOST_PAGES = 1 << 30  # 4 TiB in one swap space: more is damage
_CHUNK = 16  # pages that are unpacked together
_CACHE_SHIFT = 14  # SWAP_ADDRESS_SPACE_SHIFT: 64 MiB of swap have one swap cache
_WRITE_OK = 3  # SWP_USED and SWP_WRITEOK, include/linux/swap.h: a swap space in use
_MOST_FOLIO = 512  # pages of a large folio in the swap cache
_LOST = 1  # stands for a page that cannot be read; no page has this address
_EMPTY = np.zeros(0, np.uint64)


class Store(Protocol):
    """Where pages of a swap space lie compressed."""

    def there(self, number: I64) -> Bools:
        """Which of these pages can be unpacked."""

    def pages(self, number: I64) -> list[bytes | None]:
        """4,096 bytes of each of these pages, None for one that is not there."""


@dataclass(frozen=True)
class Space:
    """One swap space. type: its number; name: of the disk it lies on, None where it lies in a file; pages: how many it
    has, the header included; stores: where its pages may be in RAM, asked in this order."""

    type: int
    name: str | None
    pages: int
    stores: tuple[Store, ...]


class Swap:
    """The swap spaces of a kernel, by type."""

    def __init__(self, kernel: Kernel, spaces: list[Space]) -> None:
        self._kernel = kernel
        self.spaces = {space.type: space for space in spaces}

    def places(self, entry: U64) -> tuple[U64, Bools]:
        """(physical address, known) of pages by the entries of last-level tables that stand for them (uint64[n])."""
        if not self.spaces or not len(entry):
            return np.zeros(len(entry), np.uint64), np.zeros(len(entry), bool)
        kind, number, _ = self._fields(entry)
        return self.pages(kind, number)

    def _fields(self, entry: U64) -> tuple[U64, U64, Bools]:
        """(swap space, page in it, whether the entry names one) of page-table entries."""
        # architectures have moved the fields: the right layout is the one in which entries make sense
        layouts = self._kernel.space.arch.swap_entries(entry)
        valid = [is_one & self._valid(kind, number) for kind, number, is_one in layouts]
        best = max(range(len(layouts)), key=lambda row: int(valid[row].sum()))
        return np.where(valid[best], layouts[best][0], np.uint64(_TYPES)), layouts[best][1], valid[best]

    def named(self, entry: U64) -> tuple[U64, Bools]:
        """(physical address, whether it is in swap) of entries of last-level tables; no page's address where lost."""
        kind, number, valid = self._fields(entry)
        place, known = self.pages(kind, number)
        return np.where(known, place, np.uint64(_LOST)), valid

    def counts(self, roots: U64) -> tuple[I64, I64]:
        """(readable, not readable) pages in swap of the address spaces with these top tables, int64[n] each."""

        if not self.spaces or not len(roots):
            return np.zeros(len(roots), np.int64), np.zeros(len(roots), np.int64)
        space = self._kernel.space
        maps = space.user_mappings(roots, self.named)
        gone = ~space.fmt.present(maps.entry, 0) & (maps.size == PAGE)
        lost = gone & (maps.pa == np.uint64(_LOST))
        columns = [np.bincount(maps.owner[rows], minlength=len(roots)) for rows in (gone & ~lost, lost)]
        return columns[0], columns[1]

    def _valid(self, kind: U64, number: U64) -> Bools:
        ends = np.zeros(_TYPES + 1, np.uint64)
        for space in self.spaces.values():
            ends[space.type] = space.pages
        # page 0 is the header
        answer: Bools = (number > 0) & (number < ends[np.minimum(kind, np.uint64(_TYPES)).astype(np.int64)])
        return answer

    def pages(self, kind: U64, number: U64) -> tuple[U64, Bools]:
        """(physical address, known) of pages by the number of their swap space and their own in it."""
        valid = self._valid(kind, number)
        key = np.where(valid, kind << np.uint64(_TYPE_SHIFT - 12) | number, np.uint64(0))
        unique, back = np.unique(key, return_inverse=True)
        place, known = self._unique(unique)
        return place[back], known[back] & valid

    def _unique(self, key: U64) -> tuple[U64, Bools]:
        place, known = self._cached(key)
        kind = (key >> np.uint64(_TYPE_SHIFT - 12)).astype(np.int64)
        number = (key & np.uint64((1 << (_TYPE_SHIFT - 12)) - 1)).astype(np.int64)
        for space in self.spaces.values():
            for store in space.stores:
                rows = np.flatnonzero(~known & (kind == space.type) & (number > 0))
                rows = rows[store.there(number[rows])] if len(rows) else rows
                place[rows] = np.uint64(BEYOND) | key[rows] << np.uint64(12)
                known[rows] = True
        return place, known

    def _cached(self, key: U64) -> tuple[U64, Bools]:
        """Pages that are, or are again, in RAM as they are: what they hold there is newer than in the swap space."""
        keys, pa = self._cache
        if not len(keys):
            return np.zeros(len(key), np.uint64), np.zeros(len(key), bool)
        row = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        known = (keys[row] == key) & (key != 0)
        return np.where(known, pa[row], np.uint64(0)), known

    @functools.cached_property
    def _cache(self) -> tuple[U64, U64]:
        """(key of a swapped page, ascending, physical address) of the swap cache.

        mm/swap_state.c; with the swap table of 6.18 (8578e0c00dcf) it has no symbol, and is not read.
        """
        heads = self._kernel.symbols.get("swapper_spaces")
        if heads is None:
            return _EMPTY, _EMPTY
        parts: list[tuple[U64, U64]] = []
        step = np.uint64(self._kernel.types.size("address_space"))
        for space in self.spaces.values():
            first = self._kernel.pointers(u64(heads + 8 * space.type))
            count = -(-space.pages >> _CACHE_SHIFT) if first[0] else 0
            mapping = first + np.arange(count, dtype=np.uint64) * step
            root = self._kernel.pointer(mapping, "address_space", "i_pages.xa_head", gap=False)
            cached = xarray.entries(self._kernel, root, "swap cache")
            # 6.11 (7aad25b4b49a): counted within the 64 MiB
            inside = cached.index & np.uint64((1 << _CACHE_SHIFT) - 1)
            number = (cached.owner.astype(np.uint64) << np.uint64(_CACHE_SHIFT)) | inside
            # each page, or the head of a large folio in the slots of all of them, knows its own swap entry
            own = self._kernel.pointer(cached.entry, "page", "private", gap=False)
            behind = number - (own & np.uint64((1 << (_TYPE_SHIFT - 12)) - 1))
            good = behind < np.uint64(_MOST_FOLIO)
            pa = self._kernel.space.page_physical(cached.entry) + (behind << np.uint64(12))
            good &= self._kernel.memory.present(np.where(good, pa, np.uint64(0)))
            key = np.uint64(space.type << (_TYPE_SHIFT - 12)) | number
            parts.append((key[good], pa[good]))
        keys, pas = (np.concatenate(column) for column in zip(*parts, strict=True)) if parts else (_EMPTY, _EMPTY)
        order = np.argsort(keys, kind="stable")
        return keys[order], pas[order]


def swap_of(kernel: Kernel) -> Swap:
    """The swap spaces of a kernel, opened when they are first asked for."""
    if "swap" not in kernel.read_once:
        kernel.read_once["swap"] = open_swap(kernel)
    swap: Swap = kernel.read_once["swap"]
    return swap


def is_swapped(pa: U64) -> Bools:
    """Which of these physical addresses are those of swapped pages."""
    answer: Bools = np.asarray(pa, np.uint64) >= np.uint64(BEYOND)
    return answer


def open_swap(kernel: Kernel) -> Swap:
    """The swap spaces that are in use; their pages become readable at their addresses. None where no symbol says."""
    table = kernel.symbols.get("swap_info")
    if table is None or not kernel.types.has("swap_info_struct", "bdev"):
        return Swap(kernel, [])
    count = kernel.symbols.get("nr_swapfiles")
    number = int(kernel.pointers(u64(count))[0]) & 0xFFFF_FFFF if count else _TYPES
    info = kernel.pointers(np.uint64(table) + np.arange(min(number, _TYPES), dtype=np.uint64) * np.uint64(8))
    flags = kernel.read(info, "swap_info_struct", "flags").astype(np.uint64)
    used = (info != 0) & ((flags & np.uint64(_WRITE_OK)) == _WRITE_OK)
    limit = kernel.read(info, "swap_info_struct", "max").astype(np.int64)
    absurd = used & ((limit <= 0) | (limit > _MOST_PAGES))
    kernel.gaps.add("swap space", f"{int(info[absurd][0]) if absurd.any() else 0:#x}", "absurd size", int(absurd.sum()))
    disk = kernel.pointer(kernel.pointer(info, "swap_info_struct", "bdev"), "block_device", "bd_disk")
    whole = _is_block(kernel, info)
    names = texts(kernel.strings(kernel.embedded(disk, "gendisk", "disk_name"), 32))
    spaces = []
    for row in np.flatnonzero(used & ~absurd).tolist():
        device = zram.device(kernel, int(disk[row])) if whole[row] and (names[row] or "").startswith("zram") else None
        # what zswap has of a page is newer than what lies in the swap space itself
        stores = tuple(store for store in (zswap.zswap(kernel, row, int(limit[row])), device) if store is not None)
        spaces.append(Space(row, names[row] if whole[row] else None, int(limit[row]), stores))
    if any(space.stores for space in spaces):
        kernel.memory.extend(PhysicalMemory(_layout([space for space in spaces if space.stores])))
    return Swap(kernel, spaces)


def _is_block(kernel: Kernel, info: U64) -> Bools:
    """Swap spaces that are a whole block device: a page's number is its place on it. A file has extents."""
    file = kernel.pointer(info, "swap_info_struct", "swap_file")
    inode = kernel.pointer(kernel.pointer(file, "file", "f_mapping"), "address_space", "host")
    mode = kernel.read(inode, "inode", "i_mode").astype(np.int64)
    answer: Bools = (mode & 0xF000) == 0x6000
    return answer


def _layout(spaces: list[Space]) -> Layout:
    """A flat array of every page of these swap spaces, unpacked when it is touched."""
    segments, size = [], 0
    for space in spaces:
        length = -(-space.pages // _CHUNK) * _CHUNK * PAGE  # so that no two spaces share a chunk
        segments.append(Segment(BEYOND | space.type << _TYPE_SHIFT, space.pages * PAGE, size))
        size += length
    starts = np.array([segment.offset for segment in segments], np.int64)
    backing: LazyBacking

    def load(chunk: int) -> bytes:
        offset = chunk * _CHUNK * PAGE
        row = int(np.searchsorted(starts, offset, "right")) - 1
        first = (offset - segments[row].offset) // PAGE
        number = np.arange(first, min(first + _CHUNK, spaces[row].pages), dtype=np.int64)
        pages: list[bytes | None] = [None] * _CHUNK
        for store in spaces[row].stores:
            for place, page in enumerate(store.pages(number)):
                if pages[place] is None:
                    pages[place] = page
        for place, page in enumerate(pages):
            if page is None:
                backing.mark_absent(offset + place * PAGE, offset + (place + 1) * PAGE)
        return b"".join(page or bytes(PAGE) for page in pages)

    backing = LazyBacking.even(size, _CHUNK * PAGE, load)
    source = LazyFile("swap", backing, None, "swap")
    return Layout("swap", segments, source, source)
