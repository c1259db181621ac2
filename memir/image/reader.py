# SPDX-License-Identifier: Apache-2.0
"""Memory behind a function that reads it: another tool's layer, a debugger, a test."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memir.image.layout import Layout, Range, Segment
from memir.image.lazy import PAGE, LazyBacking
from memir.image.source import LazyFile

Read = Callable[[int, int], bytes | None]
_CHUNK = 1 << 16  # one read for sixteen pages; where it fails, each page alone


def reader_layout(ranges: Sequence[Range], read: Read, name: str, format: str, folder: Path | None) -> Layout:
    """The layout of what read(pa, size) gives; None, or fewer bytes than asked for, means not all are there.

    The flat array keeps each page of memory on one page, so what is absent is known page by page. Reads never
    cross a multiple of 64 KiB.
    """
    segments: list[Segment] = []
    firsts: list[int] = []  # the page of the array that each segment begins on
    starts: list[NDArray[np.int64]] = []
    size = 0
    for part in ranges:
        offset = size + part.start % PAGE
        segments.append(Segment(part.start, part.size, offset))
        firsts.append(size)
        end = -(-(offset + part.size) // PAGE) * PAGE
        lead = -part.start % _CHUNK  # up to the first multiple of 64 KiB
        starts.append(np.arange(offset + lead, end, _CHUNK, dtype=np.int64))
        if lead:
            starts.insert(-1, np.array([size], np.int64))
        size = end
    limits = np.append(np.concatenate([*starts, np.zeros(0, np.int64)]), size)
    backing: LazyBacking

    def load(which: int) -> bytes:
        low, high = int(limits[which]), int(limits[which + 1])
        segment = segments[bisect_right(firsts, low) - 1]
        first, last = max(low, segment.offset), min(high, segment.offset + segment.size)
        pa, length = segment.start + first - segment.offset, last - first
        data = read(pa, length)
        if data is None or len(data) < length:
            data = by_page(pa, length, first)
        return (bytes(first - low) + data[:length]).ljust(high - low, b"\0")

    def by_page(pa: int, length: int, index: int) -> bytes:
        parts: list[bytes] = []
        done = 0
        while done < length:
            step = min(PAGE - (pa + done) % PAGE, length - done)
            data = read(pa + done, step)
            if data is None or len(data) < step:
                backing.mark_absent(index + done, index + done + step)
                data = bytes(step)
            parts.append(data[:step])
            done += step
        return b"".join(parts)

    backing = LazyBacking(size, limits[:-1], load, folder)
    source = LazyFile(name, backing, None, name)
    return Layout(format, segments, source, source)
