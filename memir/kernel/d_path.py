# SPDX-License-Identifier: Apache-2.0
"""fs/d_path.c: all dentries of a node with what lies above them, as columns, for the paths of all of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.dcache import names
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import among, distinct, rows_of, spread

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MAX_DEPTH = 512  # of directories in each other; deeper is a loop, and told as a gap


@dataclass(frozen=True)
class Tree:
    """Dentries with all that lie above them, in the order of their addresses.

    dentry: uint64[n]. parent: int64[n], row of the parent, its own for a root. levels: rows by depth, roots first; a
    row whose way up is torn or loops is in none. name: None where it cannot be read.
    """

    dentry: U64
    parent: I64
    levels: tuple[I64, ...]
    name: list[bytes | None]

    def rows(self, dentry: U64) -> I64:
        """Rows of dentries, -1 for one that is not in the tree."""
        return rows_of(self.dentry, dentry)

    def nearest(self, marked: Bools) -> I64:
        """Row of the nearest marked dentry above each one, itself included; -1 where there is none."""
        above = np.where(marked, np.arange(len(self.dentry)), -1)
        for level in self.levels[1:]:
            above[level] = np.where(above[level] < 0, above[self.parent[level]], above[level])
        return above


def tree(kernel: Kernel, dentry: U64) -> Tree:
    """The tree of these dentries and everything above them. What cannot be read is counted."""
    every, parents = _with_ancestors(kernel, distinct(dentry[dentry != 0]))
    parent = rows_of(every, parents)
    levels = _levels(parent)
    lost = len(every) - sum(len(level) for level in levels)
    kernel.gaps.add("dentry", "", "its directories lead to no root", lost)
    return Tree(every, np.where(parent < 0, np.arange(len(every)), parent), levels, names(kernel, every))


def _with_ancestors(kernel: Kernel, dentry: U64) -> tuple[U64, U64]:
    """(dentries with all above them, sorted; the parent of each, 0 where it cannot be read)."""
    known, above = np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    frontier = dentry
    for _ in range(_MAX_DEPTH):
        if not len(frontier):
            break
        parent, ok = kernel.try_read(frontier, "dentry", "d_parent")
        kernel.count_unread("dentry", frontier, ok)
        known, above = np.concatenate((known, frontier)), np.concatenate((above, parent.astype(np.uint64)))
        frontier = distinct(parent[parent != 0].astype(np.uint64))
        frontier = frontier[~among(frontier, known)]
    else:
        kernel.gaps.add("dentry", f"{int(frontier[0]):#x}", "deeper than a path can be", len(frontier))
    order = np.argsort(known)
    return known[order], above[order]


def _levels(parent: I64) -> tuple[I64, ...]:
    """Rows by depth, from roots (their own parents) down."""
    own = np.arange(len(parent))
    order = np.argsort(parent, kind="stable")
    first = np.searchsorted(parent[order], own, "left")
    count = np.searchsorted(parent[order], own, "right") - first
    level = own[parent == own]
    levels = [level]
    for _ in range(_MAX_DEPTH):
        above, step = spread(count[level])
        level = order[first[level[above]] + step]
        level = level[parent[level] != level]
        if not len(level):
            break
        levels.append(level)
    return tuple(levels)
