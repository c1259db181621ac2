# SPDX-License-Identifier: Apache-2.0
"""Pages that LEMON could not read: it fills them with a pattern, which must not be taken for the node's memory.

https://github.com/eurecom-s3/lemon, src/dump.c: LiME's format or raw, pages filled with one of the patterns below.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from memir.image.layout import Layout, Segment, append
from memir.image.runs import runs
from memir.image.source import MappedFile

PATTERNS = (b"LEMON FAIL READ ", b"QUALCOMM SECURE ", b"TENSOR PROTECTED")
PAGE = 4096
_WHOLE = 1 << 30  # bytes up to which every page is looked at; of a larger file every 256th first, to open it at once
_STEP = 256  # a sample of every 256th page tells whether any failed page is worth a search


def without_failed(layout: Layout) -> Layout:
    """The layout without the pages that hold nothing but a pattern; the same layout if there are none.

    Of a file of more than 1 GiB every 256th page is looked at, and all of them if one of those has a pattern.
    """
    data = layout.data
    if not isinstance(data, MappedFile):
        return layout
    size = sum(part.size for part in layout.segments)
    if size > _WHOLE and not any(_failed(data, part, _STEP).any() for part in layout.segments):
        return layout
    kept: list[Segment] = []
    count = 0
    for part in layout.segments:
        failed = _failed(data, part, 1)
        count += int(failed.sum())
        if not failed.any():
            append(kept, part, layout.original.name)
            continue
        lead = min(-part.start % PAGE, part.size)
        if lead:
            append(kept, Segment(part.start, lead, part.offset), layout.original.name)
        for low, high in runs(~failed):
            first, end = lead + low * PAGE, min(lead + high * PAGE, part.size)
            append(kept, Segment(part.start + first, end - first, part.offset + first), layout.original.name)
        rest = lead + len(failed) * PAGE
        if rest < part.size:
            append(kept, Segment(part.start + rest, part.size - rest, part.offset + rest), layout.original.name)
    if not count:
        return layout
    words = f"{count} pages hold the words of LEMON for what it could not read: they are absent"
    return dataclasses.replace(layout, segments=kept, repairs=(*layout.repairs, words))


def _failed(file: MappedFile, part: Segment, step: int) -> NDArray[np.bool_]:
    """Whether each whole page (each `step`-th) of a segment is a pattern from its first byte to its last."""
    data = file.data
    lead = -part.start % PAGE
    count = max(0, part.size - lead) // PAGE
    first = part.offset + lead
    rows = -(-count // step)
    heads = np.ndarray((rows,), "<u8", data, first, (PAGE * step,)) if rows else np.zeros(0, np.uint64)
    starts = np.array([int.from_bytes(pattern[:8], "little") for pattern in PATTERNS], np.uint64)
    failed = np.zeros(rows, bool)
    # what the file system has not stored holds zeros: to look at it costs a page fault each
    stored = np.array(list(file.data_runs(first, first + count * PAGE)), np.int64).reshape(-1, 2) - first
    low, high = stored[:, 0] // (PAGE * step), -(-stored[:, 1] // (PAGE * step))
    there = np.repeat(high - np.cumsum(high - low), high - low) + np.arange(int((high - low).sum()))
    words = heads[there]
    failed[there] = np.logical_or.reduce([words == start for start in starts])
    for row in np.flatnonzero(failed).tolist():
        offset = first + row * step * PAGE
        page = data[offset : offset + PAGE].tobytes()
        failed[row] = any(page == pattern * (PAGE // len(pattern)) for pattern in PATTERNS)
    return failed
