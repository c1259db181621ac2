# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from memir.image.layout import Layout, Range, Segment
from memir.image.lemon import PATTERNS, without_failed
from memir.image.open import open_image
from memir.image.source import MappedFile
from memir.kernel import ram
from memir.kernel.engine import Kernel
from tests.image.files import PAGE, lime, noise, put
from tests.kernel.accounts import X86, X86_RAM, kernel, raw

BODY = noise(8 * PAGE)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("start", [0x10000, 0x10800])
def test_pages_of_a_pattern_are_absent_and_counted(pattern: bytes, start: int, tmp_path: Path) -> None:
    data = bytearray(BODY)
    first = -start % PAGE
    for number in (1, 2, 5):
        at = first + number * PAGE
        data[at : at + PAGE] = pattern * (PAGE // 16)
    with open_image(put(tmp_path, lime([(start, bytes(data))]))) as memory:
        assert memory.repairs == ("3 pages hold the words of LEMON for what it could not read: they are absent",)
        assert memory.size == 5 * PAGE
        base = start + first
        assert memory.ranges[1] == Range(base + 3 * PAGE, 2 * PAGE)
        for at in (0, 3 * PAGE, 6 * PAGE):
            assert memory.read(base + at, 100) == bytes(data[first + at : first + at + 100])
        assert memory.read_partial(base + PAGE, 2 * PAGE)[1] == [Range(base + PAGE, 2 * PAGE)]


def test_a_page_that_only_begins_so_is_memory(tmp_path: Path) -> None:
    data = bytearray(BODY)
    data[PAGE : 2 * PAGE - 1] = (PATTERNS[0] * (PAGE // 16))[:-1]
    with open_image(put(tmp_path, lime([(0x10000, bytes(data))]))) as memory:
        assert (memory.repairs, memory.size) == ((), 8 * PAGE)


def test_a_large_file_is_sampled_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memir.image.lemon._WHOLE", 1)
    data = bytearray(noise(300 * PAGE))
    data[PAGE : 2 * PAGE] = PATTERNS[0] * 256  # between the pages that are looked at
    source = MappedFile(put(tmp_path, bytes(data)))
    layout = Layout("raw", [Segment(0, len(data), 0)], source, source)
    assert without_failed(layout) is layout
    data[256 * PAGE : 257 * PAGE] = PATTERNS[0] * 256
    source = MappedFile(put(tmp_path, bytes(data), "more"))
    layout = Layout("raw", [Segment(0, len(data), 0)], source, source)
    assert [part.size // PAGE for part in without_failed(layout).segments] == [1, 254, 43]


def test_they_count_into_the_share(tmp_path: Path) -> None:
    data = bytearray(raw(X86))
    data[0x5000000:0x5003000] = PATTERNS[0] * (0x3000 // 16)
    parts = [(low, bytes(data[low:high])) for low, high in X86_RAM]
    with open_image(put(tmp_path, lime(parts))) as memory:
        found = ram.coverage(Kernel(memory, kernel(X86).anchors))
        assert found.total - found.present == 0x3000
        assert found.missing == (Range(0x5000000, 0x3000),)
