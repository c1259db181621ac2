# SPDX-License-Identifier: Apache-2.0
"""Paths as columns: the same as one after the other by hand, for trees that are made up; nothing of one is lost."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from memir.kernel import d_path
from memir.kernel.d_path import Tree
from memir.kube.path_column import PathColumn, below


def column(*paths: bytes | None) -> PathColumn:
    return PathColumn(pa.array(paths, pa.large_binary()))


def tree_of(parent: list[int], name: list[bytes | None]) -> Tree:
    given = np.array(parent, np.int64)
    known = np.where(given < 0, np.arange(len(given)), given)
    return Tree(np.arange(len(given), dtype=np.uint64), known, d_path._levels(given), name)


def test_as_a_sequence() -> None:
    paths = column(b"/a", None, b"/\xff")
    assert list(paths) == [b"/a", None, b"/\xff"] and len(paths) == 3
    assert (paths[0], paths[1], paths[-1], paths[1:]) == (b"/a", None, b"/\xff", [None, b"/\xff"])
    assert paths.known().tolist() == [True, False, True]
    assert paths.take(np.array([2, -1, 0])).to_pylist() == [b"/\xff", None, b"/a"]


def test_patterns_are_found_in_bytes_that_are_no_text() -> None:
    paths = column(b"/var/lib/kubelet/pods/x", None, b"\xff/pods/", b"/pod", b"")
    assert paths.matches("/pods/|/none/").tolist() == [True, False, True, False, False]
    assert column().matches("x").tolist() == []


def test_behind_a_prefix() -> None:
    """Nowhere where the prefix or the path is not known; the root of what lies there is /."""
    paths = column(b"/a", b"/a", b"", b"", None, b"/a")
    behind = paths.beneath([b"/mnt", b"", None], np.array([0, 1, 0, 1, 0, 2]))
    assert list(behind) == [b"/mnt/a", b"/a", b"/mnt", b"/", None, None]
    assert list(paths.beneath([b"/mnt"], np.array([-1, 0, -1, -1, -1, -1])))[:2] == [None, b"/mnt/a"]


def test_other_values_in_some_rows() -> None:
    assert list(column(b"", b"/a", b"").replaced(np.array([0, 2]), [b"/", None])) == [b"/", b"/a", None]
    assert list(column(b"/a").replaced(np.zeros(0, np.int64), [])) == [b"/a"]


def test_only_what_is_wanted() -> None:
    """Of two trees the second is not asked for; in the first a start lies below what is not wanted."""
    tree = tree_of([0, 0, 1, 2, 4, 4], [b"/", b"a", b"b", b"c", b"/", b"x"])
    start = np.array([False, False, True, False, False, False])
    wanted = np.array([False, False, True, True, False, False])
    assert list(below(tree, start, wanted)) == [None, None, b"", b"/c", None, None]
    assert list(below(tree, start)) == [b"", b"/a", b"", b"/c", b"", b"/x"]


def test_nothing() -> None:
    assert list(below(tree_of([], []), np.zeros(0, bool))) == []


names = st.none() | st.binary(min_size=1, max_size=3)
trees = st.lists(st.tuples(st.integers(-1, 30), names, st.booleans()), max_size=30)


@settings(max_examples=300, deadline=None)
@given(trees)
def test_as_by_hand(rows: list[tuple[int, bytes | None, bool]]) -> None:
    """Any forest, with loops, unknown parents and names, and starts anywhere."""
    parent = [above if above < len(rows) else row for row, (above, _, _) in enumerate(rows)]
    tree = tree_of(parent, [name for _, name, _ in rows])
    start = np.array([begins for _, _, begins in rows], bool)

    def path(row: int, way: frozenset[int]) -> tuple[bool, bytes | None]:
        """(whether its way up ends at a root, the path)"""
        if row in way or parent[row] < 0:
            return False, None
        if parent[row] == row:
            return True, b""
        ends, above = path(parent[row], way | {row})
        if rows[row][2]:
            return ends, b""
        return ends, None if above is None or rows[row][1] is None else above + b"/" + (rows[row][1] or b"")

    by_hand = [path(row, frozenset()) for row in range(len(rows))]
    assert list(below(tree, start)) == [text if ends else None for ends, text in by_hand]
