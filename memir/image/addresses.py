# SPDX-License-Identifier: Apache-2.0
"""Physical addresses as indexes into an image's bytes, for many at once: the segments as three arrays."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from memir.image.layout import Range, Segment
from memir.image.lazy import PAGE
from memir.image.runs import runs

U64 = NDArray[np.uint64]
Bools = NDArray[np.bool_]


class AddressMap:
    """The segments of an image. starts, sizes: uint64[n], bytes, rising; offsets: int64[n], indexes of their bytes.

    seams: uint64[m], addresses at which a segment goes on in memory, but not in the file, after another.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        """segments: one at least, rising, not overlapping."""
        self.starts = np.array([segment.start for segment in segments], np.uint64)
        self.sizes = np.array([segment.size for segment in segments], np.uint64)
        self.offsets = np.array([segment.offset for segment in segments], np.int64)
        self._parts = [(segment.start, segment.size, segment.offset) for segment in segments]
        self._only = self._parts[0] if len(self._parts) == 1 else None
        self._first: list[int] = self.starts.tolist()
        ends = self.starts + self.sizes
        self.seams = self.starts[1:][self.starts[1:] == ends[:-1]]

    def locate(self, pa: U64, size: int) -> tuple[NDArray[np.int64], Bools]:
        """(index int64[n], all `size` bytes lie in one segment bool[n]); the index is 0 where they do not."""
        if self._only is not None and size <= self._only[1]:
            start, whole, offset = self._only
            inside = pa - np.uint64(start) if start else pa  # what lies before it wraps around
            ok = inside < np.uint64(whole - max(size, 1) + 1)
            index = inside.astype(np.int64)
            if offset:
                index += offset
        else:
            length = np.uint64(size)
            which = np.searchsorted(self.starts, pa, "right") - 1
            inside = pa - self.starts[which]
            sizes = self.sizes[which]
            ok = (which >= 0) & (inside < sizes) & (sizes - inside >= length)
            index = inside.astype(np.int64)
            index += self.offsets[which]
        if np.count_nonzero(ok) != ok.size:
            index[~ok] = 0
        return index, ok

    def index(self, pa: int, size: int) -> int | None:
        """Index of one address, a hundred times as fast as locate(); None unless all bytes lie in one segment."""
        start, length, offset = self._parts[bisect_right(self._first, pa) - 1]
        inside = pa - start
        return inside + offset if 0 <= inside <= length - size else None

    def parts(self, low: int, high: int) -> Iterator[tuple[int, int, int, int]]:
        """(start of the segment, first, end, offset) of what lies in [low, high), segment by segment.

        offset: what makes an address an index.
        """
        row = max(int(np.searchsorted(self.starts, np.uint64(low), "right")) - 1, 0)
        while row < len(self.starts) and (start := int(self.starts[row])) < high:
            first, end = max(start, low), min(start + int(self.sizes[row]), high)
            if first < end:
                yield start, first, end, int(self.offsets[row]) - start
            row += 1

    def absent_ranges(self, absent: Bools) -> list[Range]:
        """Physical memory that lies in pages of the bytes that are absent, ascending. absent: bool[pages]."""
        out: list[Range] = []
        for start, size, offset in zip(self.starts.tolist(), self.sizes.tolist(), self.offsets.tolist(), strict=True):
            for first, last in runs(absent[offset // PAGE : -(-(offset + size) // PAGE)]):
                low = max(offset, (offset // PAGE + first) * PAGE)
                high = min(offset + size, (offset // PAGE + last) * PAGE)
                out.append(Range(start + low - offset, high - low))
        return out

    def across(self, pa: U64, size: int, ok: Bools) -> NDArray[np.intp]:
        """Rows, of those not ok, of reads that run over a seam: they may be whole for all that."""
        if not len(self.seams):
            return np.zeros(0, np.intp)
        late = np.flatnonzero(~ok)
        after = np.searchsorted(self.seams, pa[late], "right")
        within = after < len(self.seams)
        late, seam = late[within], self.seams[after[within]]
        rows: NDArray[np.intp] = late[seam - pa[late] < np.uint64(size)]
        return rows
