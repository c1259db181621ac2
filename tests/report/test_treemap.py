# SPDX-License-Identifier: Apache-2.0
"""Areas are what they stand for, nothing lies on anything else, hostile names stay text."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.report.treemap import Box, Cell, squarified, treemap

SVG = "{http://www.w3.org/2000/svg}"


@given(st.lists(st.integers(0, 1 << 40), max_size=40), st.integers(1, 2000), st.integers(1, 2000))
def test_areas(sizes: list[int], wide: int, high: int) -> None:
    boxes = squarified(sizes, Box(3, 5, wide, high))
    assert len(boxes) == len(sizes)
    total = sum(sizes)
    for size, box in zip(sizes, boxes, strict=True):
        assert box.wide * box.high == pytest.approx(size * wide * high / total if total else 0, rel=1e-6, abs=1e-3)
        assert box.x >= 3 - 1e-6 and box.y >= 5 - 1e-6
        assert box.x + box.wide <= 3 + wide + 1e-3 and box.y + box.high <= 5 + high + 1e-3


def test_the_papers_example() -> None:
    """Bruls, Huizing, van Wijk: 6, 6, 4, 3, 2, 2, 1 into 6 by 4; the first two share the left half, one above one."""
    boxes = squarified([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 6, 4))
    assert [(round(box.x, 2), round(box.y, 2), round(box.wide, 2), round(box.high, 2)) for box in boxes[:4]] == [
        (0, 0, 3, 2), (0, 2, 3, 2), (3, 0, 1.71, 2.33), (4.71, 0, 1.29, 2.33),
    ]  # fmt: skip


def test_document() -> None:
    hostile = "</title><script>alert(1)</script>\x1b[2J\u202e&\"'"
    cells = [
        Cell(hostile, 300, cells=[Cell("anonymous", 200, "anonymous"), Cell(hostile, 100, hostile)]),
        Cell("free", 100, "free"), Cell("none", 0, "free"),
    ]  # fmt: skip
    text = "\n".join(treemap(hostile, cells))
    root = ElementTree.fromstring(text)
    tags = {element.tag for element in root.iter()}
    assert tags == {f"{SVG}{name}" for name in ("svg", "title", "rect", "text", "g")}
    assert "\x1b" not in text and "\u202e" not in text
    titles = [element.text or "" for element in root.iter(f"{SVG}title")]
    assert "free: 0.00 MiB" in titles and not any(title.startswith("none") for title in titles)
    drawn = [element for element in root.iter(f"{SVG}rect") if element.get("stroke")]
    areas = [float(element.get("width", 0)) * float(element.get("height", 0)) for element in drawn]
    assert areas[0] == pytest.approx(3 * areas[3], rel=0.01)  # 300 and 100
