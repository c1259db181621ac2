# SPDX-License-Identifier: Apache-2.0
"""Files in which an offset is no address: each kind of tool's, made of a sample."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.image.layout import Range
from memir.image.open import open_image
from memir.kernel import raw_layout
from memir.kernel.find import find_kernel
from memir.kernel.ram import coverage
from tests.kernel.accounts import X86, X86_RAM, kernel, put, raw


def test_the_task_list_holds_in_a_whole_image() -> None:
    whole = kernel(X86)
    # every process, and the first task's link back to itself
    assert raw_layout.links_met(whole.memory, whole) == 68


def test_whole_pages() -> None:
    parts = [Range(0x1000, 0x9EC00), Range(0x100800, 0x1000), Range(0x200000, 0x1000)]
    assert raw_layout.whole_pages(parts) == [Range(0x1000, 0x9E000), Range(0x200000, 0x1000)]


def test_a_plain_file_needs_no_explanation() -> None:
    whole = kernel(X86)
    assert raw_layout.explain(whole.memory, whole, 0) is None


@pytest.mark.parametrize("cut", [0x200000, 0xA00000])
def test_a_file_whose_beginning_was_cut_off(cut: int, tmp_path: Path) -> None:
    """What was cut is missing: neither does it stand where the rest begins, nor before the file's first byte."""
    with open_image(put(tmp_path, raw(X86)[cut:])) as memory:
        found = find_kernel(memory)
        share = coverage(found)
        assert found.memory.ranges == (Range(cut, len(raw(X86)) - cut),)
        assert share.total == sum(end - start for start, end in X86_RAM)
        assert share.present == X86_RAM[1][1] - cut
        low, high = X86_RAM
        assert share.missing == (Range(low[0], low[1] - low[0]), Range(high[0], cut - high[0]))
        assert raw_layout.links_met(found.memory, found) == 68
        assert any(f"its first byte has the address {cut:#x}" in text for text in found.memory.repairs)


def test_ranges_that_stand_one_after_the_other(tmp_path: Path) -> None:
    """As `cat` of a tool's files, one for each range of RAM, makes them: a header's length is found too."""
    content = bytes(512) + b"".join(raw(X86)[start:end] for start, end in X86_RAM)
    with open_image(put(tmp_path, content)) as memory:
        joined = find_kernel(memory)
        assert joined.memory.ranges == tuple(Range(start, end - start) for start, end in X86_RAM)
        assert raw_layout.links_met(joined.memory, joined) == 68
        assert any("one after the other, 512 bytes in" in text for text in joined.memory.repairs)
