# SPDX-License-Identifier: Apache-2.0
"""What a format's reader hands on: where in a file which physical memory lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from memir.errors import ImageFormatError
from memir.image.source import Source

MAX_PHYSICAL = 1 << 56
"""No processor memir knows has more address bits; a range beyond is damage."""

MAX_SEGMENTS = 1 << 20
"""More runs than any machine's RAM has, even with every other 16 MiB left out of 32 TiB."""


@dataclass(frozen=True, slots=True)
class Range:
    """Physical addresses [start, start + size), bytes."""

    start: int
    size: int

    @property
    def end(self) -> int:
        """First address after the range."""
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Segment:
    """Where a run of physical memory lies in the image's bytes: `size` bytes of `start` at index `offset`."""

    start: int
    size: int
    offset: int


@dataclass(frozen=True)
class Layout:
    """What a format's reader found. segments: rising, not overlapping. missing: bytes promised but not there.

    data: what the segments' offsets point into. original: the file as given.
    holes_may_be_zero: the tool leaves out blocks of zeros, so an absent range may be zeros.
    repairs: what is not as the format has it and how it was read all the same, a sentence each.
    """

    format: str
    segments: Sequence[Segment]
    data: Source
    original: Source
    container: str | None = None
    missing: int = 0
    holes_may_be_zero: bool = False
    notes: dict[str, bytes] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()


def append(segments: list[Segment], segment: Segment, name: str) -> None:
    """Add a segment; one that goes on both in memory and in the file extends the last.

    ImageFormatError when a file names more runs than RAM can have: its index would fill this machine's memory.
    """
    last = segments[-1] if segments else None
    if last and last.start + last.size == segment.start and last.offset + last.size == segment.offset:
        segments[-1] = Segment(last.start, last.size + segment.size, last.offset)
    elif segment.size:
        if len(segments) >= MAX_SEGMENTS:
            raise ImageFormatError(f"{name}: more than {MAX_SEGMENTS} separate ranges (the next at {segment.start:#x})")
        segments.append(segment)


def ranges_of(segments: Sequence[Segment]) -> tuple[Range, ...]:
    """The physical memory that segments cover, adjacent ones as one range."""
    ranges: list[Range] = []
    for segment in segments:
        if ranges and ranges[-1].end == segment.start:
            ranges[-1] = Range(ranges[-1].start, ranges[-1].size + segment.size)
        else:
            ranges.append(Range(segment.start, segment.size))
    return tuple(ranges)


def checked(layout: Layout) -> list[Segment]:
    """Its segments, those that go on both in memory and in the file as one.

    ImageFormatError if there are none, or if a reader that is not memir's gave them out of order.
    """
    merged: list[Segment] = []
    after = 0
    for segment in layout.segments:
        if segment.start < after or segment.start + segment.size >= 1 << 64:
            raise ImageFormatError(
                f"{layout.original.name}: the range {segment.start:#x} + {segment.size:#x} overlaps the one before it, "
                "is not in order or is beyond all memory"
            )
        append(merged, segment, layout.original.name)
        after = segment.start + segment.size
    if not merged:
        raise ImageFormatError(f"{layout.original.name}: there is no memory in this image")
    return merged
