# SPDX-License-Identifier: Apache-2.0
"""Rows of a sorted column."""

from __future__ import annotations

import numpy as np

from memir.kernel.rows import among, distinct, numbered, rows_of, spread


def test_rows_of() -> None:
    """Below, in, between and above; the largest address of 64 bits; a value twice gives its first row."""
    column = np.array([2, 5, 5, 9, 2**64 - 1], np.uint64)
    sought = np.array([0, 2, 3, 5, 9, 2**64 - 2, 2**64 - 1], np.uint64)
    assert rows_of(column, sought).tolist() == [-1, 0, -1, 1, 3, -1, 4]
    assert rows_of(column[:0], sought[:2]).tolist() == [-1, -1]
    assert rows_of(column, sought[:0]).tolist() == []


def test_distinct() -> None:
    """As numpy's unique(): ascending, of its type, of any shape; none and one of none."""
    values = np.array([[9, 2**64 - 1, 0], [0, 9, 5]], np.uint64)
    assert distinct(values).tolist() == [0, 5, 9, 2**64 - 1]
    assert (distinct(values).dtype.name, distinct(values[0][:1]).tolist(), distinct(values[:0]).tolist()) == (
        "uint64", [9], [],
    )  # fmt: skip
    assert values.tolist() == [[9, 2**64 - 1, 0], [0, 9, 5]]


def test_among() -> None:
    """As numpy's isin(): any shape, any order of the known; addresses that a float could not tell apart."""
    values = np.array([[2**64 - 1, 2**64 - 2], [0, 7]], np.uint64)
    assert among(values, (2**64 - 2, 0)).tolist() == [[False, True], [True, False]]
    assert among(values, values[:0, 0]).tolist() == [[False, False], [False, False]]
    assert among(np.array([1, -1], np.int32), np.array([2**32 - 1, 1], np.uint64)).tolist() == [True, False]
    assert among(np.array([[1], [-1]], np.int64), np.array([2**64 - 1], np.uint64)).tolist() == [[False], [True]]
    assert among(values, (2**64 - 2,)).tolist() == [[False, True], [False, False]]
    assert among(np.array([b"a", b"", b"c"], object), (b"c",)).tolist() == [False, False, True]
    assert among(np.array([b"a", b"", b"c"], object), (b"c", b"a")).tolist() == [True, False, True]


def test_numbered() -> None:
    """Rows that are the same in all columns have one number, which tells its first row and how many there are; of
    columns whose numbers together need more than 64 bits, too."""
    small, large = np.array([3, 1, 3, 1, 3], np.uint64), np.array([2**64 - 1, 7, 2**64 - 1, 8, 7], np.uint64)
    number, first, count = numbered([small, large, small + np.uint64(60_000)])
    assert number.tolist() == [3, 0, 3, 1, 2]
    assert (first.tolist(), count.tolist()) == ([1, 3, 4, 0], [1, 1, 1, 2])
    wide = [np.array([65_535, 0, 65_535], np.uint64)] * 6
    assert numbered(wide)[0].tolist() == [1, 0, 1]
    assert [part.tolist() for part in numbered([small[:0]])] == [[], [], []]


def test_spread() -> None:
    """Each row so many times, counted from 0; a row of none is left out."""
    row, number = spread(np.array([2, 0, 3]))
    assert (row.tolist(), number.tolist()) == ([0, 0, 2, 2, 2], [0, 1, 0, 1, 2])
    row, number = spread(np.zeros(0, np.int64))
    assert (row.dtype.name, number.dtype.name, len(row), len(number)) == ("int64", "int64", 0, 0)
