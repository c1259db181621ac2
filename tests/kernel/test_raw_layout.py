# SPDX-License-Identifier: Apache-2.0
"""Files in which an offset is no address: each kind of tool's, made of a sample."""

from __future__ import annotations

from memir.image.layout import Range
from memir.kernel import raw_layout
from tests.kernel.accounts import X86, kernel


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
