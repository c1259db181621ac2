# SPDX-License-Identifier: Apache-2.0
"""Runs of pages: which are there, and which a sparse file does not store."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from memir.image.lazy import PAGE

Bools = NDArray[np.bool_]


def without_absent(index: NDArray[np.int64], ok: Bools, size: int, absent: Bools) -> Bools:
    """`ok` where none of the pages that a read touches is absent."""
    rows = np.flatnonzero(ok)
    first, last = index[rows] // PAGE, (index[rows] + max(size - 1, 0)) // PAGE
    bad = absent[first] | absent[last]
    for step in range(1, int((last - first).max(initial=0))):
        bad |= absent[np.minimum(first + step, last)]
    present = ok.copy()
    present[rows[bad]] = False
    return present


def runs(flags: Bools) -> Iterator[tuple[int, int]]:
    """[first, end) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def widened(flags: Bools) -> Bools:
    """Those that are True, and those right before and behind them."""
    near = flags.copy()
    near[1:] |= flags[:-1]
    near[:-1] |= flags[1:]
    return near


def pages(parts: Iterator[tuple[int, int]], offset: int, hole: int = PAGE) -> Iterator[tuple[int, int]]:
    """Runs of file indexes as runs of whole pages of physical memory: the two need not be aligned to each other.

    Runs with less than `hole` bytes between them are given as one.
    """
    first = end = -1
    for low, high in parts:
        start, stop = (low - offset) // PAGE * PAGE, -(-(high - offset) // PAGE) * PAGE
        if end >= 0 and start - end >= hole:
            yield first, end
            first = start
        elif end < 0:
            first = start
        end = stop
    if end >= 0:
        yield first, end
