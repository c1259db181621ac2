# SPDX-License-Identifier: Apache-2.0
"""include/linux/xarray.h: many xarrays (also IDRs and page caches) walked level by level, all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.pagetable import U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MAX_HEIGHT = 12  # 64 bits of index at 6 bits a level
_MAX_ENTRIES = 1 << 26  # 256 GiB of page cache; more is a loop
_MAX_SPAN = 1 << 12  # indexes that one slot of a large folio covers: no folio is larger than two levels


@dataclass(frozen=True)
class Entries:
    """Entries of many xarrays, in the order of owner and index.

    owner: int64[n], which xarray. index: uint64[n]. entry: uint64[n], pointers as stored (never internal, never 0).
    values: how many value entries (bit 0 set: swapped pages, shadows) were met and left out, int64 per xarray; where
    they are: value_owner, value_index, and value, without its bit 0.
    """

    owner: NDArray[np.int64]
    index: U64
    entry: U64
    values: NDArray[np.int64]
    value_owner: NDArray[np.int64]
    value_index: U64
    value: U64


def entries(kernel: Kernel, heads: U64, kind: str, *, large: bool = False) -> Entries:
    """All pointer entries of the xarrays whose xa_head values are given (uint64[n], the value, not its address).

    An entry with low bits 10 is internal: a node above the first page of addresses, a sibling or retry below. Siblings
    (of multi-index entries, large folios) stand for the slot they name and are resolved to it. large: an entry above
    the last level stands for every index that its slot covers, as the page cache has folios of 64 pages and more.
    """
    types = kernel.types
    slots = types.member("xa_node", "slots").type.count
    slot_offset, shift_offset = types.offset("xa_node", "slots"), types.offset("xa_node", "shift")
    bits = slots.bit_length() - 1
    heads = np.asarray(heads, np.uint64)
    owner = np.flatnonzero(heads != 0).astype(np.int64)
    entry = heads[owner]
    base = np.zeros(len(owner), np.uint64)
    ceiling = np.full(len(owner), 64, np.int64)
    parts: list[tuple[NDArray[np.int64], U64, U64]] = []
    kept: list[tuple[NDArray[np.int64], U64, U64]] = []
    shifts = np.zeros(len(owner), np.uint64)
    values = np.zeros(len(heads), np.int64)
    total = 0
    for _ in range(_MAX_HEIGHT):
        is_value = (entry & np.uint64(1)) != 0
        np.add.at(values, owner[is_value], 1)
        kept.append((owner[is_value], base[is_value], entry[is_value] >> np.uint64(1)))
        node = ((entry & np.uint64(3)) == 2) & (entry > 4096)
        plain = ~is_value & ~node & ((entry & np.uint64(3)) == 0)
        if plain.any():
            span = np.uint64(1) << np.minimum(np.where(plain, shifts, np.uint64(0))[plain], np.uint64(63))
            parts.append(_covered((owner[plain], base[plain], entry[plain]), span if large else span // span))
            total += len(parts[-1][0])
        owner, base, ceiling = owner[node], base[node], ceiling[node]
        address = entry[node] - np.uint64(2)
        if not len(owner) or total > _MAX_ENTRIES:
            break
        shift, ok = kernel.read_bytes(address + np.uint64(shift_offset), 1)
        raw, read = kernel.read_bytes(address + np.uint64(slot_offset), 8 * slots)
        # a node's shift must fall from level to level, or a hostile tree would never end
        sound = ok & read & (shift[:, 0] < ceiling) & (shift[:, 0] % bits == 0)
        if not sound.all():
            kernel.gaps.add(kind, f"{int(address[~sound][0]):#x}", "xarray node not readable", int((~sound).sum()))
        owner, base, shifts = owner[sound], base[sound], shift[sound, 0].astype(np.uint64)
        table = raw[sound].view("<u8")
        sibling = ((table & np.uint64(3)) == 2) & (table < 4 * slots)
        rows, columns = np.nonzero(sibling)
        target = (table[rows, columns] >> np.uint64(2)).astype(np.int64)
        table[rows, columns] = table[rows, target]
        row, column = np.nonzero(table)
        entry = table[row, column]
        owner, ceiling, shifts = owner[row], shifts[row].astype(np.int64), shifts[row]
        base = base[row] + (column.astype(np.uint64) << shifts)
    return Entries(*_ordered(parts), values, *_ordered(kept))


def _covered(part: tuple[NDArray[np.int64], U64, U64], span: U64) -> tuple[NDArray[np.int64], U64, U64]:
    """(owner, index, entry), each so many times with the indexes that follow; one that covers too many as it is."""
    owner, base, entry = part
    count = np.where(span <= _MAX_SPAN, span, np.uint64(1)).astype(np.int64)
    if int(count.sum()) == len(owner) or int(count.sum()) > _MAX_ENTRIES:
        return part
    step = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(owner, count), np.repeat(base, count) + step.astype(np.uint64), np.repeat(entry, count)


def _ordered(parts: list[tuple[NDArray[np.int64], U64, U64]]) -> tuple[NDArray[np.int64], U64, U64]:
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    owners, indexes, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((indexes, owners))
    return owners[order], indexes[order], values[order]
