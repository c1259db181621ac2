# SPDX-License-Identifier: Apache-2.0
"""Page tables, walked for any number of addresses or of whole address spaces at once.

One walker serves x86-64 and arm64 with 4 KiB pages: an architecture says through `Format` how an entry is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from memir.image.memory import PhysicalMemory

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
Bools = NDArray[np.bool_]

SwapEntries = tuple[U64, U64, Bools]
"""(number of the swap space, number of the page in it, is such an entry) of page-table entries."""
Absent = Callable[[U64], tuple[U64, Bools]]
"""(address, known) of the pages that last-level entries which are not present stand for."""

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
_ENTRIES = 512
_LINKS = 8  # a table is read so many times at most, for one address space and level
_BATCH = 4096  # tables of 4 KiB read at once: 16 MiB of entries


class Format(Protocol):
    """How one architecture's page-table entries are read. All functions are vectorised over uint64 arrays."""

    @property
    def levels(self) -> int:
        """How many levels of tables."""

    def root(self, root: U64) -> U64:
        """Physical address of the table from a root as the kernel stores it."""

    def index(self, va: U64, level: int) -> U64:
        """Index into the table at `level` (levels - 1 is the top, 0 the last)."""

    def present(self, entry: U64, level: int) -> Bools:
        """Whether the processor would follow this entry."""

    def leaf(self, entry: U64, level: int) -> Bools:
        """Whether a present entry maps memory rather than naming the next table."""

    def target(self, entry: U64) -> U64:
        """Physical address in the entry: of the next table or of the page."""


def translate(
    memory: PhysicalMemory, fmt: Format, roots: U64, va: U64, absent: Absent | None = None
) -> tuple[U64, Bools]:
    """Physical address of each virtual address under its own root: (uint64[n], found bool[n]).

    absent: where pages are that were swapped out.
    """
    va = np.asarray(va, np.uint64)
    pa = np.zeros(len(va), np.uint64)
    mapped = np.zeros(len(va), bool)
    alive = np.arange(len(va))
    table = fmt.root(np.broadcast_to(np.asarray(roots, np.uint64), va.shape))
    for level in range(fmt.levels - 1, -1, -1):
        here = va[alive]
        entry, ok = memory.gather_as(table + fmt.index(here, level) * np.uint64(8), "<u8")
        read, ok = ok, ok & fmt.present(entry, level)
        if level == 0 and absent is not None:
            gone = np.flatnonzero(read & ~ok)
            place, known = absent(entry[gone])
            which = alive[gone[known]]
            pa[which], mapped[which] = place[known] | (va[which] & np.uint64(PAGE_SIZE - 1)), True
        leaf = ok & (np.ones(len(entry), bool) if level == 0 else fmt.leaf(entry, level))
        if leaf.any():
            low = np.uint64((1 << (PAGE_SHIFT + 9 * level)) - 1)
            which = alive[leaf]
            pa[which] = (fmt.target(entry[leaf]) & ~low) | (here[leaf] & low)
            mapped[which] = True
        down = ok & ~leaf
        if not down.any():
            break
        alive, table = alive[down], fmt.target(entry[down])
    return pa, mapped


@dataclass(frozen=True)
class Mappings:
    """Leaf entries of many address spaces, in the order of owner and virtual address.

    owner: int64[n], index of the root. va, pa, size: uint64[n], bytes. entry: uint64[n], the raw leaf entry.
    unread: tables that are not in the image, or that were met more often than any kernel links one.
    """

    owner: NDArray[np.int64]
    va: U64
    pa: U64
    size: U64
    entry: U64
    unread: int


def mappings(
    memory: PhysicalMemory, fmt: Format, roots: U64, low: int, high: int, absent: Absent | None = None
) -> Mappings:
    """All present pages of every root between virtual addresses low (inclusive) and high (exclusive).

    absent: where pages are that were swapped out, which then are among them.

    Tables are read level by level, all address spaces at once. A table that several roots share is read once for
    each of them; a table met again above itself (a loop that only a hostile image has) ends at the last level anyway.
    """
    owner = np.arange(len(roots), dtype=np.int64)
    table = fmt.root(np.asarray(roots, np.uint64))
    base = np.zeros(len(roots), np.uint64)
    leaves: list[tuple[NDArray[np.int64], U64, U64, U64, U64]] = []
    unread = 0
    for level in range(fmt.levels - 1, -1, -1):
        shift = np.uint64(PAGE_SHIFT + 9 * level)
        size = np.uint64(1) << shift
        next_owner, next_table, next_base = [], [], []
        for begin in range(0, len(table), _BATCH):
            part = slice(begin, begin + _BATCH)
            first, count = _window(fmt, level, low, high)
            entries, ok = memory.gather_words(table[part] + np.uint64(8 * first), count)
            unread += int((~ok).sum())
            present = fmt.present(entries, level) & ok[:, None]
            if level == 0 and absent is not None:
                row, column = np.nonzero((entries != 0) & ~present & ok[:, None])
                pa, known = absent(entries[row, column])
                va = base[part][row] + (column.astype(np.uint64) << shift)
                known &= (va >= np.uint64(low)) & (va < np.uint64(high))
                if known.any():
                    gone = (owner[part][row], va, pa, np.full(len(pa), size), entries[row, column])
                    leaves.append(tuple(values[known] for values in gone))  # type: ignore[arg-type]  # five of them
            row, column = np.nonzero(present)
            entry = entries[row, column]
            va = base[part][row] + ((column + first).astype(np.uint64) << shift)
            inside = (va + size > np.uint64(low)) & (va < np.uint64(high))
            row, entry, va = row[inside], entry[inside], va[inside]
            who = owner[part][row]
            leaf = np.ones(len(entry), bool) if level == 0 else fmt.leaf(entry, level)
            if leaf.any():
                pa = fmt.target(entry[leaf]) & ~(size - np.uint64(1))
                leaves.append((who[leaf], va[leaf], pa, np.full(len(pa), size), entry[leaf]))
            next_owner.append(who[~leaf])
            next_table.append(fmt.target(entry[~leaf]))
            next_base.append(va[~leaf])
        if level == 0 or not next_owner:
            break
        below = np.concatenate(next_owner), np.concatenate(next_table), np.concatenate(next_base)
        owner, table, base = _not_too_often(memory, *below)
        unread += len(below[0]) - len(owner)
    if not leaves:
        empty = np.zeros(0, np.uint64)
        return Mappings(np.zeros(0, np.int64), empty, empty, empty, empty, unread)
    columns = [np.concatenate(column) for column in zip(*leaves, strict=True)]
    order = np.lexsort((columns[1], columns[0]))
    own, va, pa, sizes, entry = (column[order] for column in columns)
    return Mappings(own.astype(np.int64), va, pa, sizes, entry, unread)


def tables(memory: PhysicalMemory, fmt: Format, roots: U64, low: int, high: int) -> tuple[I64, U64]:
    """(index of the root, physical address) of every table, the roots' own too, that maps something in [low, high).

    A table that several roots share comes once for each of them. Tables of the last level are not read.
    """
    owner = np.arange(len(roots), dtype=np.int64)
    table = fmt.root(np.asarray(roots, np.uint64))
    base = np.zeros(len(roots), np.uint64)
    owners, met = [owner], [table]
    for level in range(fmt.levels - 1, 0, -1):
        shift = np.uint64(PAGE_SHIFT + 9 * level)
        size = np.uint64(1) << shift
        below: list[tuple[I64, U64, U64]] = []
        first, count = _window(fmt, level, low, high)
        for begin in range(0, len(table), _BATCH):
            part = slice(begin, begin + _BATCH)
            entries, ok = memory.gather_words(table[part] + np.uint64(8 * first), count)
            row, column = np.nonzero(fmt.present(entries, level) & ok[:, None])
            entry = entries[row, column]
            va = base[part][row] + ((column + first).astype(np.uint64) << shift)
            keep = (va + size > np.uint64(low)) & (va < np.uint64(high)) & ~fmt.leaf(entry, level)
            below.append((owner[part][row][keep], fmt.target(entry[keep]), va[keep]))
        if not below:
            break
        owners_below, tables_below, bases_below = zip(*below, strict=True)
        owner, table, base = _not_too_often(
            memory, np.concatenate(owners_below), np.concatenate(tables_below), np.concatenate(bases_below)
        )
        owners.append(owner)
        met.append(table)
    return np.concatenate(owners), np.concatenate(met)


def _not_too_often(memory: PhysicalMemory, owner: I64, table: U64, base: U64) -> tuple[I64, U64, U64]:
    """Tables of one level without those that an address space links more than a few times.

    A kernel links a table once (of hugetlb pages, once for each time that a file is mapped). One whose 512 entries all
    name it would be read 512**3 times; no more tables than pages is the usual case, in which nothing is compared.
    """
    if len(table) <= memory.size // PAGE_SIZE:
        return owner, table, base
    order = np.lexsort((base, table, owner))
    new = np.ones(len(order), bool)
    new[1:] = (owner[order][1:] != owner[order][:-1]) | (table[order][1:] != table[order][:-1])
    first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    keep = np.zeros(len(order), bool)
    keep[order] = np.arange(len(order)) - first < _LINKS
    return owner[keep], table[keep], base[keep]


def _window(fmt: Format, level: int, low: int, high: int) -> tuple[int, int]:
    """First index and number of the entries worth reading in tables of this level: all but at the top."""
    if level < fmt.levels - 1:
        return 0, _ENTRIES
    first = int(fmt.index(np.array([low], np.uint64), level)[0])
    last = int(fmt.index(np.array([high - 1], np.uint64), level)[0])
    return first, last - first + 1


def chunks(addresses: U64, sizes: U64) -> Iterator[tuple[int, int]]:
    """Runs of adjacent pages as (start, size), in order."""
    if len(addresses) == 0:
        return
    ends = addresses + sizes
    breaks = np.flatnonzero(addresses[1:] != ends[:-1]) + 1
    starts = np.concatenate(([0], breaks))
    stops = np.concatenate((breaks, [len(addresses)])) - 1
    for begin, stop in zip(starts, stops, strict=True):
        yield int(addresses[begin]), int(ends[stop] - addresses[begin])
