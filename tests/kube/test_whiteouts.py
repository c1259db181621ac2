# SPDX-License-Identifier: Apache-2.0
"""Every name that an overlay marks as deleted, on the recorded node: two of them are one inode."""

from __future__ import annotations

import numpy as np

from memir.kernel import inode as kernel_inode
from memir.kube.dentry_names import superblocks
from memir.kube.whiteouts import whiteout_names
from tests.kernel.recorded import node

NAME = "s-6.12-recorded"


def test_each_name_of_a_whiteout() -> None:
    source = node(NAME)
    every = source.inodes
    names, rows = every.names, every.inodes
    mark = np.flatnonzero((rows.mode >> 12 == 2) & (rows.rdev == 0) & (every.row >= 0))
    shown = sorted((every.shown([row])[0] or "", int(rows.number[row])) for row in mark.tolist())
    assert [path for path, _ in shown if not path.startswith("/dev")] == ["/etc/issue", "/etc/os-release", "/opt/old"]
    # from one row an inode: those of the shared one are two, all else stays as it was
    unique = np.unique(rows.inode)
    assert len(rows.inode) == len(unique) + 1
    once = kernel_inode.inodes(source.kernel, unique)
    first = every.row[np.searchsorted(rows.inode, unique)]
    index, name = whiteout_names(once, first, names.inode, names.positive & ~names.unlinked & (names.layer >= 0))
    assert np.array_equal(unique[index], rows.inode) and np.array_equal(name, every.row)
    plain = np.setdiff1d(np.arange(len(unique)), index[np.isin(rows.inode, rows.inode[mark])])
    assert np.array_equal(name[np.isin(index, plain)], first[plain])
    assert len(superblocks(source)) > 10


def test_none() -> None:
    every = node(NAME).inodes
    nothing = kernel_inode.inodes(node(NAME).kernel, np.zeros(0, np.uint64))
    index, name = whiteout_names(nothing, np.zeros(0, np.int64), every.names.inode, every.names.positive)
    assert (len(index), len(name)) == (0, 0)
