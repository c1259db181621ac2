# SPDX-License-Identifier: Apache-2.0
"""Rows of columns by what stands in one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from memir.kernel.pagetable import I64, Bools

_Number = TypeVar("_Number", bound=np.generic)


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
    inside: Bools = rows_of(np.sort(np.asarray(known, dtype), axis=None), values.astype(dtype, copy=False)) >= 0
    return inside


def spread(count: NDArray[np.integer[Any]]) -> tuple[I64, I64]:
    """Of each row so many as `count` says: (the row, its number among those of its row, from 0), int64[sum] both."""
    row = np.repeat(np.arange(len(count)), count)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
