# SPDX-License-Identifier: Apache-2.0
"""Paths of all dentries at once: the same as each one's own climb gives, on real images; loops end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel import d_path
from memir.kernel.dcache import Dentries
from memir.kube.path_column import below
from memir.kube.ram import RamSource

IMAGES = ("s-6.1-small", "s-7.2-small-la57", "arm64-6.12-small-lpa2")


@pytest.mark.parametrize("name", IMAGES)
def test_paths_are_those_of_a_climb(name: str, node_of: Callable[[str], RamSource]) -> None:
    node = node_of(name)
    tree = d_path.tree(node.kernel, node.inodes.names.dentry)
    single = Dentries(node.kernel)
    chosen = tree.dentry[::7]
    single.load(chosen)
    paths = below(tree, np.zeros(len(tree.dentry), bool))
    rows = tree.rows(chosen).tolist()
    assert [paths[row] or b"/" for row in rows] == [single.path(entry) for entry in chosen.tolist()]
    assert len(rows) > 300 and tree.rows(np.array([12345], np.uint64)).tolist() == [-1]
    # every row has a level, and its parent is one above
    depth = np.full(len(tree.dentry), -1)
    for number, level in enumerate(tree.levels):
        depth[level] = number
    deep = depth > 0
    assert (depth >= 0).all() and (depth[tree.parent[deep]] == depth[deep] - 1).all()


def test_from_a_chosen_start(node_of: Callable[[str], RamSource]) -> None:
    """The nearest marked directory above, and the path from there."""
    node = node_of(IMAGES[0])
    tree = d_path.tree(node.kernel, node.inodes.names.dentry)
    paths = list(below(tree, np.zeros(len(tree.dentry), bool)))
    upper = next(row for row, path in enumerate(paths) if path is not None and path.endswith(b"/snapshots/11/fs"))
    start = np.zeros(len(tree.dentry), bool)
    start[upper] = True
    log = paths.index((paths[upper] or b"") + b"/tmp/server.log")
    assert tree.nearest(start)[[upper, log, int(tree.parent[upper])]].tolist() == [upper, upper, -1]
    assert [below(tree, start)[row] for row in (upper, log)] == [b"", b"/tmp/server.log"]


def test_loops_lead_nowhere() -> None:
    """Rows that are their own ancestors, or whose parent is not known, are in no level."""
    levels = d_path._levels(np.array([0, 0, 3, 2, -1, 1]))  # 2 and 3 hang on each other, 4 on nothing
    assert [sorted(level.tolist()) for level in levels] == [[0], [1], [5]]
    names = [b"/", b"a", b"x", b"y", None, b"b"]
    tree = d_path.Tree(np.arange(6, dtype=np.uint64), np.array([0, 0, 3, 2, 4, 1]), levels, names)
    assert list(below(tree, np.zeros(6, bool))) == [b"", b"/a", None, None, None, b"/a/b"]


def test_nothing(node_of: Callable[[str], RamSource]) -> None:
    tree = d_path.tree(node_of(IMAGES[0]).kernel, np.zeros(0, np.uint64))
    assert (tree.dentry.tolist(), tree.rows(np.array([5], np.uint64)).tolist()) == ([], [-1])
