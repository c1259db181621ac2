# SPDX-License-Identifier: Apache-2.0
"""include/linux/maple_tree.h (6.1, 54a611b60590): many maple trees walked level by level, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import among

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MAX_HEIGHT = 31  # MAPLE_HEIGHT_MAX
_MAX_ENTRIES = 1 << 24  # 65,530 maps a process (vm.max_map_count) for 256 processes; more is a loop
_NODE_MASK = np.uint64(0xFF)
_LEAF, _RANGE, _ARANGE = 1, 2, 3
_STRUCT = {_LEAF: "maple_range_64", _RANGE: "maple_range_64", _ARANGE: "maple_arange_64"}


def entries(kernel: Kernel, root: U64, kind: str) -> tuple[NDArray[np.int64], U64]:
    """Entries of trees given by their ma_root values: (index of the tree, entry), ascending within a tree.

    root: uint64[n]. A node's pivots say how many of its slots are in use: what lies behind them is left over
    or metadata. A node that is unreadable, met twice or of a type that no such tree has is left out and
    counted.
    """
    owner = np.flatnonzero(root != 0).astype(np.int64)
    node = root[owner]
    # only the root carries the xarray's mark of an internal entry; a lone entry is the root itself
    inner = ((node & np.uint64(3)) == 2) & (node > 4096)
    lone = ~inner & ((node & np.uint64(3)) == 0)
    leaves = [(owner[lone], np.zeros(int(lone.sum()), np.uint64), node[lone])]
    owner, node = owner[inner], node[inner]
    place, last = np.zeros(len(owner), np.uint64), np.full(len(owner), 2**64 - 1, np.uint64)
    seen, total = np.zeros(0, np.uint64), 0
    for _ in range(_MAX_HEIGHT):
        fresh = _fresh(kernel, kind, node, seen)
        seen = np.union1d(seen, node)
        owner, place, last, node, leaf = _down(kernel, kind, (owner[fresh], place[fresh], last[fresh], node[fresh]))
        leaves.append((owner[leaf], place[leaf], node[leaf]))
        total += int(leaf.sum())
        owner, place, last, node = owner[~leaf], place[~leaf], last[~leaf], node[~leaf]
        if not len(owner) or total > _MAX_ENTRIES:
            break
    if len(owner):
        kernel.gaps.add(kind, f"{int(node[0]):#x}", "maple tree too deep or too large", len(owner))
    every, where, what = (np.concatenate(column) for column in zip(*leaves, strict=True))
    order = np.lexsort((where, every))
    return every[order].astype(np.int64), what[order]


def _fresh(kernel: Kernel, kind: str, node: U64, seen: U64) -> Bools:
    """Nodes met for the first time: a hostile tree may lead back into itself, or repeat a child."""
    fresh = np.zeros(len(node), bool)
    fresh[np.unique(node, return_index=True)[1]] = True
    fresh &= ~among(node, seen)
    if not fresh.all():
        kernel.gaps.add(kind, f"{int(node[~fresh][0]):#x}", "maple tree loops", int((~fresh).sum()))
    return fresh


def _down(
    kernel: Kernel, kind: str, above: tuple[NDArray[np.int64], U64, U64, U64]
) -> tuple[NDArray[np.int64], U64, U64, U64, Bools]:
    """The children of nodes: (owner, first key, last key, entry, whether it is an entry and not a node)."""
    owner, place, last, entry = above
    variety = ((entry >> np.uint64(3)) & np.uint64(15)).astype(np.int64)
    address = entry & ~_NODE_MASK
    parts: list[tuple[NDArray[np.int64], U64, U64, U64, Bools]] = []
    for code, struct in _STRUCT.items():
        rows = np.flatnonzero(variety == code)
        if not len(rows) or not kernel.types.exists(struct):
            continue
        pivot, ok = kernel.try_read(address[rows], struct, "pivot")
        slot, read = kernel.try_read(address[rows], struct, "slot")
        kernel.count_unread(kind, address[rows], ok & read)
        good = ok & read
        rows, pivot, slot = rows[good], pivot[good].astype(np.uint64), slot[good].astype(np.uint64)
        slots = slot.shape[1]
        ends = np.column_stack([pivot, np.zeros((len(rows), slots - pivot.shape[1]), np.uint64)])
        closing = (ends == 0) | (ends >= last[rows][:, None])
        used = np.arange(slots) <= closing.argmax(axis=1)[:, None]
        ends = np.where(closing, last[rows][:, None], ends)
        begins = np.column_stack([place[rows], ends[:, :-1] + np.uint64(1)])
        row, column = np.nonzero(used & (slot != 0))
        parts.append(
            (
                owner[rows][row],
                begins[row, column],
                ends[row, column],
                slot[row, column],
                np.full(len(row), code == _LEAF),
            )
        )
    odd = ~among(variety, list(_STRUCT))
    if odd.any():
        kernel.gaps.add(kind, f"{int(entry[odd][0]):#x}", "maple node of an unknown type", int(odd.sum()))
    if not parts:
        none = np.zeros(0, np.uint64)
        return np.zeros(0, np.int64), none, none, none, np.zeros(0, bool)
    own, first, end, child, leaf = (np.concatenate(column) for column in zip(*parts, strict=True))
    return own.astype(np.int64), first, end, child, leaf
