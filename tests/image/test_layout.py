# SPDX-License-Identifier: Apache-2.0
"""Ranges and segments: joined, in order, bounded; against sets of addresses."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.errors import ImageFormatError
from memir.image import layout
from memir.image.layout import Layout, Range, Segment, append, checked, ranges_of
from memir.image.source import MappedFile, Source
from tests.image.files import put


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return MappedFile(put(tmp_path, bytes(1 << 16)))


def test_a_range_ends_after_its_last_byte() -> None:
    assert Range(0x1000, 0x2000).end == 0x3000


def test_what_goes_on_in_memory_and_file_is_one_segment() -> None:
    segments: list[Segment] = []
    append(segments, Segment(0x1000, 0, 0), "x")
    assert segments == []
    append(segments, Segment(0x1000, 0x1000, 0), "x")
    append(segments, Segment(0x2000, 0x1000, 0x1000), "x")
    append(segments, Segment(0x3000, 0x1000, 0x2020), "x")  # a header between them in the file
    append(segments, Segment(0x8000, 0x1000, 0x3020), "x")  # a hole between them in memory
    assert segments == [Segment(0x1000, 0x2000, 0), Segment(0x3000, 0x1000, 0x2020), Segment(0x8000, 0x1000, 0x3020)]
    assert ranges_of(segments) == (Range(0x1000, 0x3000), Range(0x8000, 0x1000))
    assert ranges_of([]) == ()


def test_more_ranges_than_ram_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert layout.MAX_SEGMENTS * 2 * (16 << 20) >= 32 << 40  # what its own words promise
    monkeypatch.setattr(layout, "MAX_SEGMENTS", 3)
    segments: list[Segment] = []
    for at in range(3):
        append(segments, Segment(at << 20, 1, at), "x")
    with pytest.raises(ImageFormatError, match=r"x: more than 3 separate ranges \(the next at 0x300000\)"):
        append(segments, Segment(3 << 20, 1, 9), "x")
    append(segments, Segment((2 << 20) + 1, 5, 3), "x")  # one that goes on is no further one
    assert segments[-1] == Segment(2 << 20, 6, 2)


def test_checked(source: Source) -> None:
    segments = [Segment(0x1000, 0x1000, 0), Segment(0x2000, 0x1000, 0x1000)]
    assert checked(Layout("made", segments, source, source)) == [Segment(0x1000, 0x2000, 0)]
    for wrong, words in (
        ([Segment(0x1000, 0x1000, 0), Segment(0x1FFF, 0x1000, 0x1000)], "0x1fff"),
        ([Segment(0x1000, 0x1000, 0), Segment(0, 0x1000, 0x1000)], "0x0"),
        ([Segment((1 << 64) - 1, 1, 0)], "beyond all memory"),
        ([Segment(-1, 1, 0)], "is not in order"),
        ([], "no memory in this image"),
        ([Segment(5, 0, 0)], "no memory in this image"),
    ):
        with pytest.raises(ImageFormatError, match=words):
            checked(Layout("made", wrong, source, source))


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 200)), max_size=30))
def test_any_segments(steps: list[tuple[int, int, int]]) -> None:
    """Whatever rises: the same bytes at the same places, adjacent ones joined."""
    segments: list[Segment] = []
    address = 0
    wanted: dict[int, int] = {}
    for gap, size, offset in steps:
        address += gap
        append(segments, Segment(address, size, offset), "x")
        wanted |= {address + at: offset + at for at in range(size)}
        address += size
    flat = [(s.start + at, s.offset + at) for s in segments for at in range(s.size)]
    assert dict(flat) == wanted
    assert len(flat) == len(wanted)
    ranges = ranges_of(segments)
    assert [pa for part in ranges for pa in range(part.start, part.end)] == sorted(wanted)
    assert all(low.end < high.start for low, high in itertools.pairwise(ranges))
