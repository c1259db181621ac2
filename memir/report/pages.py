# SPDX-License-Identifier: Apache-2.0
"""RAM by pod and kind for people: a table as wide as the terminal takes, and a picture."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from memir.report.grid import GAP
from memir.report.treemap import Cell, treemap
from memir.text import safe, say, say_all, width

if TYPE_CHECKING:
    from typing import Any

_MIB = 1 << 20
_FOLDED = {
    "anonymous": ("anonymous",), "files": ("file", "block device", "hugetlb"), "tmpfs": ("tmpfs",),
}  # fmt: skip
_MOST = 60  # cells of a kind that are drawn one by one
_LISTED = 10


class Share(Protocol):
    """RAM of one owner (see memir.page_use)."""

    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def total(self) -> int: ...  # noqa: D102
    @property
    def bytes(self) -> Mapping[str, int]: ...  # noqa: D102


class PageUse(Protocol):
    """RAM of an image (see memir.page_use)."""

    @property
    def shares(self) -> Sequence[Share]: ...  # noqa: D102
    @property
    def removed(self) -> Sequence[tuple[str | None, str | None, int]]: ...  # noqa: D102
    @property
    def elsewhere(self) -> Sequence[Mapping[str, Any]]: ...  # noqa: D102
    @property
    def leaves(self) -> Sequence[tuple[Share, str, str, int]]: ...  # noqa: D102
    @property
    def kinds(self) -> Mapping[str, int]: ...  # noqa: D102
    @property
    def total(self) -> int: ...  # noqa: D102


def print_pages(use: PageUse) -> None:
    """Print a table in MiB, then what is charged to cgroups that are gone or to another pod than its owner."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    say_all(lines(use, shutil.get_terminal_size((80, 24)).columns if terminal else None))


def lines(use: PageUse, room: int | None) -> Iterator[str]:
    """All lines; room: columns of the terminal, None: no edge."""
    yield f"RAM in the image: {use.total / _MIB:,.1f} MiB, each frame once; numbers are MiB"
    yield ""
    rows = list(_grid(use, [(kind, (kind,)) for kind in use.kinds], None))
    if room is not None and max(map(len, rows)) > room:
        rows = list(_grid(use, _folded(use), room))
    yield from rows
    if use.removed:
        yield from ("", "Charged to cgroups that have been removed, of containers that have ended:")
        yield from _some([f"  {size >> 10:,} KiB  {path or 'path not known'}" for path, _, size in use.removed])
    if use.elsewhere:
        size = sum(row["bytes"] for row in use.elsewhere)
        yield ""
        yield f"Charged to a pod, but not its alone by process or file: {size / _MIB:,.2f} MiB"
        yield "(who first uses a page of a shared layer pays for it)"


def _some(texts: list[str]) -> Iterator[str]:
    yield from texts[:_LISTED]
    if len(texts) > _LISTED:
        yield f"  and {len(texts) - _LISTED} more: see the table pages"


def _folded(use: PageUse) -> list[tuple[str, tuple[str, ...]]]:
    named = [(title, kinds) for title, kinds in _FOLDED.items() if any(kind in use.kinds for kind in kinds)]
    own = {kind for _, kinds in named for kind in kinds} | {"free", "not known"}
    return [*named, ("kernel", tuple(kind for kind in use.kinds if kind not in own))]


def _grid(use: PageUse, columns: list[tuple[str, tuple[str, ...]]], room: int | None) -> Iterator[str]:
    columns = [(title, kinds) for title, kinds in columns if not set(kinds) & {"free", "not known"}]
    names = ["of", "all", *(title for title, _ in columns)]
    every = [(share.title, share.total, share.bytes) for share in use.shares]
    texts = [
        [title, _mib(total), *(_mib(sum(sizes.get(kind, 0) for kind in kinds)) for _, kinds in columns)]
        for title, total, sizes in [*every, ("all", use.total, use.kinds)]
    ]
    wide = [max(len(name), *(len(row[column]) for row in texts)) for column, name in enumerate(names)]
    least = sum(wide[1:]) + len(GAP) * len(wide[1:])
    first = max(map(width, (row[0] for row in texts)))
    first = first if room is None else min(first, max(room - least, len(names[1])))
    for row in [names, ["-" * first, *("-" * size for size in wide[1:])], *texts]:
        name = safe(row[0])
        if width(name) > first:  # is never cut: a line of its own
            yield name
            name = ""
        numbers = (f"{text:>{size}}" for text, size in zip(row[1:], wide[1:], strict=True))
        yield GAP.join([name + " " * (first - width(name)), *numbers]).rstrip()


def _mib(size: int) -> str:
    return f"{size / _MIB:,.1f}" if size >= _MIB // 20 else "" if not size else "<0.1"


def drawing(use: PageUse, title: str) -> Iterator[str]:
    """Lines of the picture: owners, in them kinds, in them processes, files and caches."""
    cells: dict[int, Cell] = {}
    inner: dict[tuple[int, str], Cell] = {}
    for share, kind, name, size in use.leaves:
        owner = cells.setdefault(id(share), Cell(share.title, share.total))
        if (id(share), kind) not in inner:
            inner[id(share), kind] = Cell(kind, share.bytes[kind], kind)
            owner.cells.append(inner[id(share), kind])
        inside = inner[id(share), kind]
        if len(inside.cells) < _MOST:
            inside.cells.append(Cell(name, size, kind))
    for (_, kind), cell in inner.items():
        rest = cell.size - sum(part.size for part in cell.cells)
        if len(cell.cells) == 1 and not rest:
            cell.cells.clear()  # a rectangle in itself says nothing
        elif rest > 0:
            cell.cells.append(Cell("the rest", rest, kind))
    yield from treemap(title, list(cells.values()))


def say_drawn(path: str) -> None:
    """Where the picture is."""
    say("", f"Picture: {path} (open it in a browser; names show under the pointer)")
