# SPDX-License-Identifier: Apache-2.0
"""Rows of columns by what stands in one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from memir.kernel.pagetable import I64, U64, Bools

_Number = TypeVar("_Number", bound=np.generic)
_SMALL = 1 << 16  # numbers below are put together without being numbered anew


def rows_of(ordered: NDArray[Any], sought: NDArray[Any]) -> I64:
    """The row of each value in a sorted column, int64[n]; -1 where it is not in it."""
    if not len(ordered):
        return np.full(np.shape(sought), -1, np.int64)
    place = np.minimum(np.searchsorted(ordered, sought), len(ordered) - 1)
    return np.where(ordered[place] == sought, place, -1)


def distinct(values: NDArray[_Number]) -> NDArray[_Number]:
    """Each value once, ascending. numpy's own unique() hashes first (2.3), which takes five to ten times as long."""
    ordered: NDArray[_Number] = np.sort(values, axis=None)
    if len(ordered) < 2:
        return ordered
    new = np.empty(len(ordered), bool)
    new[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return ordered[new]


def among(values: NDArray[Any], known: NDArray[Any] | Sequence[int] | Sequence[bytes]) -> Bools:
    """Whether each value is one of those, bool[n]: as isin(), which sorts both where only `known` has to be."""
    wider = isinstance(known, np.ndarray) and known.dtype.itemsize > values.dtype.itemsize
    dtype = known.dtype if isinstance(known, np.ndarray) and wider else values.dtype
    column, ordered = values.astype(dtype, copy=False), np.sort(np.asarray(known, dtype), axis=None)
    inside: Bools = column == ordered[0] if len(ordered) == 1 else rows_of(ordered, column) >= 0
    return inside


def spread(count: NDArray[np.integer[Any]]) -> tuple[I64, I64]:
    """Of each row so many as `count` says: (the row, its number among those of its row, from 0), int64[sum] both."""
    row = np.repeat(np.arange(len(count)), count)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)


def numbered(columns: list[U64]) -> tuple[I64, I64, I64]:
    """(number of each row, the same for rows that are the same in all columns; first row and count of each number).

    Sorting is what costs: columns of small numbers are taken as they are, and put together before they are sorted.
    """
    number, span = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        part = column.astype(np.int64)
        if int(column.max(initial=0)) >= _SMALL:
            part = np.unique(column, return_inverse=True)[1].reshape(-1)
        width = int(part.max(initial=0)) + 1
        if span * width >= 1 << 62:
            number = np.unique(number, return_inverse=True)[1].reshape(-1)
            span = int(number.max(initial=0)) + 1
        number, span = number * width + part, span * width
    _, first, back, count = np.unique(number, return_index=True, return_inverse=True, return_counts=True)
    return back.reshape(-1).astype(np.int64), first.astype(np.int64), count.astype(np.int64)
