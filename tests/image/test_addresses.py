# SPDX-License-Identifier: Apache-2.0
"""Three segments: two that meet in memory but not in the file, and one behind a hole."""

from __future__ import annotations

import numpy as np
import pytest

from memir.image.addresses import AddressMap
from memir.image.layout import Range, Segment
from memir.image.lazy import PAGE

SEGMENTS = [Segment(0x1000, 0x1000, 64), Segment(0x2000, 0x2000, 0x8000), Segment(0x9000, 0x1000, 0x3000)]
MAP = AddressMap(SEGMENTS)


def u64(*values: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(values, np.uint64)


@pytest.mark.parametrize("segments", [SEGMENTS, SEGMENTS[:1], [Segment(0, 0x2000, 0)]])
def test_an_index_for_each_address_or_none(segments: list[Segment]) -> None:
    addresses = [*range(0xF00, 0xA100, 0x100), 0, (1 << 64) - 1]
    for size in (1, 8, 0x101, 0x1001):
        index, ok = AddressMap(segments).locate(u64(*addresses), size)
        for address, place, whole in zip(addresses, index.tolist(), ok.tolist(), strict=True):
            inside = [s for s in segments if s.start <= address and address + size <= s.start + s.size]
            assert whole == bool(inside)
            assert place == (inside[0].offset + address - inside[0].start if inside else 0)
            assert AddressMap(segments).index(address, size) == (place if whole else None)


def test_parts_by_segment() -> None:
    assert list(MAP.parts(0x1800, 0x9800)) == [
        (0x1000, 0x1800, 0x2000, 64 - 0x1000), (0x2000, 0x2000, 0x4000, 0x6000), (0x9000, 0x9000, 0x9800, -0x6000),
    ]  # fmt: skip
    assert list(MAP.parts(0x4000, 0x9000)) == []
    assert list(MAP.parts(0, 0x1001)) == [(0x1000, 0x1000, 0x1001, 64 - 0x1000)]


def test_what_lies_in_absent_pages() -> None:
    absent = np.zeros(0xA, bool)
    assert MAP.absent_ranges(absent) == []
    absent[[0, 3, 9]] = True
    # the first segment begins 64 bytes into a page of the file: that page holds all but its last 64 bytes
    assert MAP.absent_ranges(absent) == [Range(0x1000, PAGE - 64), Range(0x3000, PAGE), Range(0x9000, PAGE)]


def test_reads_over_a_seam() -> None:
    addresses = u64(0x1FFF, 0x1FFF, 0x1FF0, 0x2000, 0x3FFF, 0x9FFF)
    assert MAP.seams.tolist() == [0x2000]
    assert MAP.across(addresses, 2, MAP.locate(addresses, 2)[1]).tolist() == [0, 1]
    assert AddressMap(SEGMENTS[:1]).across(addresses, 2, np.zeros(6, bool)).tolist() == []
