# SPDX-License-Identifier: Apache-2.0
"""Rows as a person reads them. Evidence is never cut: a cell wraps at spaces only; where that does not do, the longest
texts go below their rows, a line each, and where that does not do either, each row becomes a block of its own.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from memir.report.cells import cell
from memir.text import safe, say, say_all, width

GAP = "  "
_INDENT = "    "
_WRAPPED = 6
"""Lines that a cell may wrap into; a row of more is easier read as a block."""
_BELOW = 4
"""Texts that go below their row at most: with more of them a row is a block."""


@dataclass(frozen=True, slots=True)
class _Texts:
    """A table as safe text."""

    names: list[str]
    rows: list[list[str]]


def print_grid(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, limit: int | None = None) -> None:
    """Print rows and their number on standard output; through $PAGER if they do not fit on the terminal.

    limit: print so many rows and say how many there are more.
    """
    shown = rows if limit is None else rows[:limit]
    terminal = sys.stdout is not None and sys.stdout.isatty()
    size = shutil.get_terminal_size((80, 24))
    lines = list(grid(columns, shown, size.columns if terminal else None))
    more = f", {len(rows) - len(shown)} more not shown (--limit)" if len(shown) < len(rows) else ""
    lines += ["", f"{len(rows)} row{'' if len(rows) == 1 else 's'}{more}"]
    if not (terminal and len(lines) >= size.lines and _paged(lines)):
        say_all(lines)


def _paged(lines: list[str]) -> bool:
    """Show lines in the pager; False if there is none. PAGER=cat, or an empty one, does without."""
    import os
    import shlex
    import subprocess

    command = shlex.split(os.environ.get("PAGER", "less"))
    if not command or command[0] == "cat" or shutil.which(command[0]) is None or not sys.stdin.isatty():
        return False
    # S: no wrapping of what was laid out for this width; less shows no control as such unless told to (-R)
    environment = {"LESS": "FX", **os.environ}
    text = "\n".join(safe(line) for line in lines) + "\n"
    subprocess.run(command, input=text.encode("utf-8", "backslashreplace"), env=environment, check=False)
    return True


def grid(columns: Sequence[str], rows: Sequence[Sequence[Any]], room: int | None) -> Iterator[str]:
    """Lines of a table that is at most `room` wide; None: no edge, nothing wraps and no column is left out."""
    texts = [[safe(cell(name, value)) for name, value in zip(columns, row, strict=True)] for row in rows]
    table = _Texts([safe(name) for name in columns], texts)
    if room is None:
        yield from _aligned(table, _widths(table))
        return
    widths = _widths(table)
    if _total(widths) > room and len(rows) > 1:
        table, notes = _without_idle(table)
        widths = _widths(table)
        yield from notes
    if _total(widths) > room:
        widths = _narrowed(table, widths, room)
    if _total(widths) <= room and not _too_tall(table, widths):
        yield from _aligned(table, widths)
        return
    yield from _stacked(table, room) or _blocks(table)


def _stacked(table: _Texts, room: int) -> list[str]:
    """The table without its longest columns, whose texts stand below each row; [] if the rest still does not fit."""
    every = _widths(table)
    longest = sorted(range(len(every)), key=every.__getitem__)
    for count in range(1, min(_BELOW, len(table.names) - 3) + 1):
        below = sorted(longest[-count:])
        beside = [number for number in range(len(every)) if number not in below]
        rest = _Texts([table.names[number] for number in beside], [[row[n] for n in beside] for row in table.rows])
        widths = _narrowed(rest, _widths(rest), room)
        if _total(widths) > room or _too_tall(rest, widths):
            continue
        lines = list(_aligned(_Texts(rest.names, []), widths))
        for row, short in zip(table.rows, rest.rows, strict=True):
            lines += _row(short, widths)
            lines += [f"{_INDENT}{table.names[number]}: {row[number]}" for number in below if row[number]]
        return lines
    return []


def _widths(table: _Texts) -> list[int]:
    return [max([width(name), *(width(row[number]) for row in table.rows)]) for number, name in enumerate(table.names)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * max(len(widths) - 1, 0)


def _without_idle(table: _Texts) -> tuple[_Texts, list[str]]:
    """Leave out columns that are empty or the same in every row, and say so in a line each."""
    empty, same, kept = [], [], []
    for number, name in enumerate(table.names):
        values = {row[number] for row in table.rows}
        if len(values) > 1:
            kept.append(number)
        elif values == {""}:
            empty.append(name)
        else:
            same.append(f"in every row: {name} {values.pop()}")
    if not kept:
        return table, []
    notes = [*same, *([f"empty: {', '.join(empty)}"] if empty else [])]
    rows = [[row[number] for number in kept] for row in table.rows]
    return _Texts([table.names[number] for number in kept], rows), notes + [""] * bool(notes)


def _narrowed(table: _Texts, widths: list[int], room: int) -> list[int]:
    """Widths in which every word is whole, the widest columns narrowed first."""
    least = [
        max([width(name), *(width(word) for row in table.rows for word in row[number].split(" "))])
        for number, name in enumerate(table.names)
    ]
    widths = list(widths)
    while _total(widths) > room:
        spare = [now - low for now, low in zip(widths, least, strict=True)]
        if not any(part > 0 for part in spare):
            break
        widest = max((number for number in range(len(widths)) if spare[number] > 0), key=widths.__getitem__)
        others = sorted((widths[number] for number in range(len(widths)) if spare[number] > 0), reverse=True)
        target = others[1] if len(others) > 1 and others[1] < widths[widest] else widths[widest] - 1
        target = max(target, least[widest], widths[widest] - (_total(widths) - room))
        widths[widest] = target
    return widths


def _too_tall(table: _Texts, widths: Sequence[int]) -> bool:
    return any(
        width(text) > _WRAPPED * wide for row in table.rows for text, wide in zip(row, widths, strict=True) if text
    )


def _aligned(table: _Texts, widths: Sequence[int]) -> Iterator[str]:
    if not table.names:
        return
    yield _line(table.names, widths)
    yield _line(["-" * wide for wide in widths], widths)
    for row in table.rows:
        yield from _row(row, widths)


def _row(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    if all(width(text) <= wide for text, wide in zip(row, widths, strict=True)):
        yield _line(row, widths)
        return
    parts = [_wrapped(text, wide) for text, wide in zip(row, widths, strict=True)]
    for number in range(max(map(len, parts))):
        yield _line([part[number] if number < len(part) else "" for part in parts], widths)


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    return GAP.join(text + " " * (wide - width(text)) for text, wide in zip(texts, widths, strict=True)).rstrip()


def _wrapped(text: str, wide: int) -> list[str]:
    lines, line = [], ""
    for word in text.split(" "):
        if line and width(line) + 1 + width(word) > wide:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def _blocks(table: _Texts) -> Iterator[str]:
    """One record a block, a line a value that is there; the terminal breaks what is longer, so it can be copied."""
    wide = max(map(width, table.names))
    for number, row in enumerate(table.rows, 1):
        yield f"-- {number} --"
        for name, text in zip(table.names, row, strict=True):
            if text:
                yield f"{name}{' ' * (wide - width(name))}  {text}"


def print_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one a line, aligned; a name that is empty goes on with the one before."""
    wide = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        say(f"{name:<{wide}}  {value}".rstrip())
