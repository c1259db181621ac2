# SPDX-License-Identifier: Apache-2.0
"""Rows of columns by what stands in one of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memir.kernel.pagetable import I64


def rows_of(ordered: NDArray[Any], sought: NDArray[Any]) -> I64:
    """The row of each value in a sorted column, int64[n]; -1 where it is not in it."""
    if not len(ordered):
        return np.full(len(sought), -1, np.int64)
    place = np.minimum(np.searchsorted(ordered, sought), len(ordered) - 1)
    return np.where(ordered[place] == sought, place, -1)


def spread(count: NDArray[np.integer[Any]]) -> tuple[I64, I64]:
    """Of each row so many as `count` says: (the row, its number among those of its row, from 0), int64[sum] both."""
    row = np.repeat(np.arange(len(count)), count)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
