# SPDX-License-Identifier: Apache-2.0
"""A treemap as SVG: rectangles whose area is what they stand for (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000).

All text is of an image and may be hostile: it is escaped, and the picture has no script and loads nothing.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from memir.text import safe

_HEAD = 16.0  # pixels of a title's line
_LETTER = 6.6  # pixels of a letter of 11 px, about
_LEAST = 3.0  # pixels: what is narrower is drawn without text
_COLOURS = ("#8ecae6", "#ffb703", "#90be6d", "#f28482", "#cdb4db", "#e9c46a", "#a8dadc", "#f4a261", "#bdb2ff",
            "#ffadad", "#caffbf", "#d0d0d0", "#9bf6ff", "#fdffb6", "#b0a8b9", "#efc3e6")  # fmt: skip


@dataclass
class Cell:
    """A rectangle of a size, with others in it. kind: what it is coloured by; of one with cells in it none counts."""

    name: str
    size: int
    kind: str = ""
    cells: list[Cell] = field(default_factory=list)


@dataclass(frozen=True)
class Box:
    """Where a rectangle lies, pixels."""

    x: float
    y: float
    wide: float
    high: float


def squarified(sizes: Sequence[int], box: Box) -> list[Box]:
    """A box for each size, in their order (largest first gives the squarest), together the whole box."""
    total = sum(sizes)
    out: list[Box] = []
    if total <= 0 or box.wide <= 0 or box.high <= 0:
        return [Box(box.x, box.y, 0.0, 0.0) for _ in sizes]
    scale = box.wide * box.high / total
    areas = [max(size, 0) * scale for size in sizes]
    while len(out) < len(areas):
        rest, side = areas[len(out) :], min(box.wide, box.high)
        if side <= 0:
            out += [Box(box.x, box.y, 0.0, 0.0) for _ in rest]
            break
        count = 1
        while count < len(rest) and _worst(rest[: count + 1], side) <= _worst(rest[:count], side):
            count += 1
        row = rest[:count]
        thick = sum(row) / side
        along = 0.0
        for area in row:
            length = area / thick if thick else 0.0
            beside = box.wide >= box.high
            out.append(Box(box.x, box.y + along, thick, length) if beside else
                       Box(box.x + along, box.y, length, thick))  # fmt: skip
            along += length
        if box.wide >= box.high:
            box = Box(box.x + thick, box.y, max(box.wide - thick, 0.0), box.high)
        else:
            box = Box(box.x, box.y + thick, box.wide, max(box.high - thick, 0.0))
    return out


def _worst(row: Sequence[float], side: float) -> float:
    """The worst aspect ratio of areas laid in a row along a side."""
    total, low, high = sum(row), min(row), max(row)
    return float("inf") if low <= 0 else max(side * side * high / total**2, total**2 / (side * side * low))


def treemap(title: str, cells: Sequence[Cell], *, wide: int = 1600, high: int = 1000) -> Iterator[str]:
    """Lines of an SVG document: cells, the cells in them, and a legend of their kinds."""
    kinds = list(dict.fromkeys(kind for cell in cells for kind in _kinds(cell)))
    colour = {kind: _COLOURS[number % len(_COLOURS)] for number, kind in enumerate(kinds)}
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="11">'
    )
    yield f"<title>{_text(title)}</title>"
    yield f'<rect width="{wide}" height="{high}" fill="#fff"/>'
    yield f'<text x="4" y="14" font-size="14">{_text(title)}</text>'
    left = 4.0
    for kind in kinds:
        need = 24 + _LETTER * len(kind)
        if left + need > wide:
            break
        yield f'<rect x="{left:.0f}" y="22" width="10" height="10" fill="{colour[kind]}"/>'
        yield f'<text x="{left + 14:.0f}" y="31">{_text(kind)}</text>'
        left += need
    yield from _drawn(cells, Box(0, 38, wide, high - 38), colour, [])
    yield "</svg>"


def _kinds(cell: Cell) -> Iterator[str]:
    if cell.cells:
        for inner in cell.cells:
            yield from _kinds(inner)
    else:
        yield cell.kind


def _drawn(cells: Sequence[Cell], box: Box, colour: dict[str, str], path: list[str]) -> Iterator[str]:
    order = sorted((cell for cell in cells if cell.size > 0), key=lambda cell: (-cell.size, cell.name))
    for cell, place in zip(order, squarified([cell.size for cell in order], box), strict=True):
        if place.wide < 0.5 or place.high < 0.5:
            continue
        names = [*path, cell.name]
        fill = "#f4f4f4" if cell.cells else colour[cell.kind]
        yield f"<g><title>{_text(' · '.join(names))}: {cell.size / (1 << 20):,.2f} MiB</title>"
        yield (
            f'<rect x="{place.x:.2f}" y="{place.y:.2f}" width="{place.wide:.2f}" height="{place.high:.2f}" '
            f'fill="{fill}" stroke="#fff" stroke-width="{1 if len(path) else 2}"/>'
        )
        shown = int((place.wide - 6) / _LETTER)
        titled = shown >= _LEAST and place.high >= _HEAD
        if titled:
            weight = ' font-weight="bold"' if not path else ""
            label = safe(cell.name, shown)
            yield f'<text x="{place.x + 3:.2f}" y="{place.y + 12:.2f}"{weight}>{html.escape(label)}</text>'
        if cell.cells:
            top = _HEAD if titled and place.high > 2 * _HEAD else 0.0
            inner = Box(place.x + 1, place.y + top, max(place.wide - 2, 0), max(place.high - top - 1, 0))
            yield from _drawn(cell.cells, inner, colour, names)
        yield "</g>"


def _text(text: str) -> str:
    return html.escape(safe(text))
