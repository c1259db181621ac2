# SPDX-License-Identifier: Apache-2.0
"""Memory behind a function: what is asked of it, what it may leave out, and what reads see of that."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from memir.image.layout import Range, Segment, checked
from memir.image.memory import PhysicalMemory
from memir.image.reader import reader_layout
from tests.image.files import PAGE, noise

CHUNK = 1 << 16
PARTS = [(0x1000, noise(3 * PAGE, 1)), (0x1FF800, noise(40 * PAGE + 100, 2)), (0x500123, noise(77, 3))]
RANGES = [Range(pa, len(data)) for pa, data in PARTS]


def content(pa: int, size: int) -> bytes:
    start, data = next((start, data) for start, data in PARTS if start <= pa < start + len(data))
    return data[pa - start :][:size]


def test_every_page_of_memory_lies_on_one_page_of_the_array(tmp_path: Path) -> None:
    layout = reader_layout(RANGES, content, "made", "layer", tmp_path)
    assert (layout.format, layout.data.name, layout.original.name) == ("layer", "made", "made")
    assert [(s.start, s.size) for s in layout.segments] == [(part.start, part.size) for part in RANGES]
    assert all(s.offset % PAGE == s.start % PAGE for s in layout.segments)
    assert checked(layout) == layout.segments
    last = layout.segments[-1]
    assert layout.data.size == -(-(last.offset + last.size) // PAGE) * PAGE
    assert reader_layout([], content, "made", "layer", tmp_path).segments == []


def test_reads_stay_inside_ranges_and_64_kib(tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []

    def read(pa: int, size: int) -> bytes:
        asked.append((pa, size))
        return content(pa, size)

    memory = PhysicalMemory.from_reader(RANGES, read, "made", "layer", tmp_path)
    for pa, data in PARTS:
        assert memory.read(pa, len(data)) == data
    assert asked != []
    for pa, size in asked:
        assert size > 0
        assert pa // CHUNK == (pa + size - 1) // CHUNK
        assert any(part.start <= pa and pa + size <= part.end for part in RANGES)
    assert sum(size for _, size in asked) == sum(part.size for part in RANGES)  # each byte once
    memory.read(0x1000, PAGE)
    assert sum(size for _, size in asked) == sum(part.size for part in RANGES)


def test_what_the_function_does_not_give_is_absent_page_by_page(tmp_path: Path) -> None:
    rng = random.Random(5)
    absent = {0x2000} | {page for page in range(0x1FF000, 0x228000, PAGE) if rng.random() < 0.3}

    def read(pa: int, size: int) -> bytes | None:
        inside = [page for page in absent if pa < page + PAGE and page < pa + size]
        if not inside:
            return content(pa, size)
        # either nothing, or only what lies before the first absent page
        return None if rng.random() < 0.5 else content(pa, max(0, min(inside) - pa))

    memory = PhysicalMemory.from_reader(RANGES, read, "made", "layer", tmp_path)
    for pa, data in PARTS:
        for at in range(pa, pa + len(data), 512):
            size = min(100, pa + len(data) - at)
            touched = {page // PAGE * PAGE for page in (at, at + size - 1)}
            words, there = memory.gather(np.array([at], np.uint64), size)
            assert bool(there[0]) == (not touched & absent), hex(at)
            assert words[0].tobytes() == (content(at, size) if there[0] else bytes(size))
    assert Segment(0x1000, 3 * PAGE, 0x0) in checked(reader_layout(RANGES, read, "m", "l", tmp_path))
