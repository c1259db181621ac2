# SPDX-License-Identifier: Apache-2.0
"""Names that overlayfs marks as deleted: one inode is the mark of many of them."""

from __future__ import annotations

import numpy as np

from memir.kernel.inode import Inodes
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import among, rows_of

_CHAR = 2  # S_IFCHR >> 12


def whiteout_names(rows: Inodes, first: I64, inode: U64, on_layer: Bools) -> tuple[I64, I64]:
    """(index into rows, row of the name) of every inode: of a whiteout each name on a layer, of others the first.

    rows: by address. first: row of the first name of each (int64[n], -1 for none). inode, on_layer: of each name, its
    inode, and whether it stands on a layer. Overlayfs links one inode to all names that are deleted (5.8, c21c839b8448
    "ovl: whiteout inode sharing"), and keeps one more name of it in its workdir.
    """
    mark = (rows.mode >> 12 == _CHAR) & (rows.rdev == 0) & ~rows.freed
    name = np.flatnonzero(on_layer & among(inode, rows.inode[mark]))
    place = rows_of(rows.inode, inode[name])
    alone = np.ones(len(first), bool)
    alone[place] = False
    rest = np.flatnonzero(alone)
    index, named = np.concatenate((rest, place)), np.concatenate((first[rest], name))
    order = np.lexsort((named, index))
    return index[order], named[order]
