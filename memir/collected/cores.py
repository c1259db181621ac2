# SPDX-License-Identifier: Apache-2.0
"""The memory of a collected pod: the ELF cores of its processes (memir/collect/node/core.py), one behind the other.

All cores make one space of pages, in the order of their names, of which page frames here are numbers: what a hunt calls
a physical address is a place in that space. A core's segments are page-aligned in its file, as they are in memory.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memir.collected.source import CollectedSource
from memir.errors import ChangedImageError, CustodyError
from memir.evidence.folder import open_file
from memir.kernel.pagetable import U64

PAGE = 4096
NAME = re.compile(r"clear/memory/([0-9]{1,10})\.core")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_MOST_SEGMENTS = 1 << 20


@dataclass(frozen=True)
class PageRuns:
    """Pages of one process. start: virtual address of each run's first page, ascending; count: pages; frame: of the
    first. Three uint64[n]."""

    start: U64
    count: U64
    frame: U64


class Cores:
    """The pages of all processes of a collected pod, and reading them. What a core lacks is in the source's gaps."""

    def __init__(self, source: CollectedSource) -> None:
        self._source = source
        self._views: list[NDArray[np.uint8]] = []
        self._first: list[int] = []
        self._stamps: list[tuple[str, int, int]] = []
        self.frames = 0
        self.runs: dict[int, PageRuns] = {}
        """The page runs of each process, by pid."""
        for name in sorted(source.names):
            match = NAME.fullmatch(name)
            if match:
                self._add(name, int(match.group(1)))

    @property
    def path(self) -> Path:
        """The folder."""
        return self._source.path

    def _add(self, name: str, pid: int) -> None:
        try:
            with os.fdopen(open_file(self._source.path, name), "rb") as file:
                size = file.seek(0, 2)
                view = np.memmap(file, np.uint8, "r") if size else np.zeros(0, np.uint8)
        except (CustodyError, OSError) as error:
            self._source.gaps.add("process memory", name, str(error)[:200])
            return
        stat = (self._source.path / name).stat()
        self._stamps.append((name, stat.st_size, stat.st_mtime_ns))
        rows, cut = segments(view)
        if rows is None:
            self._source.gaps.add("process memory", name, "is no ELF core")
            return
        self._source.gaps.add("process memory", name, "the core is cut: bytes of its segments are missing", cut)
        self._views.append(view)
        self._first.append(self.frames)
        table = np.array([(start, count, self.frames + place) for start, count, place in rows], np.uint64).reshape(
            -1, 3
        )
        self.runs[pid] = PageRuns(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy())
        self.frames += -(-len(view) // PAGE)

    @property
    def total(self) -> int:
        """Pages of memory in all cores."""
        return sum(int(runs.count.sum()) for runs in self.runs.values())

    def gather(
        self, pa: U64, size: int, out: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """(uint8[n, size], read bool[n]) of these places in the space of pages, each in one page; as PhysicalMemory."""
        places = np.asarray(pa, np.uint64)
        rows = np.zeros((len(places), size), np.uint8) if out is None or len(out) < len(places) else out[: len(places)]
        ok = places < np.uint64(self.frames * PAGE)
        for row, place in enumerate(places.tolist()):
            rows[row] = 0
            if ok[row]:
                part = int(np.searchsorted(self._first, place // PAGE, "right")) - 1
                data = self._views[part][place - self._first[part] * PAGE :][:size]
                rows[row, : len(data)] = data
                ok[row] = len(data) == size
        return rows, ok

    def check_unchanged(self) -> None:
        """ChangedImageError if a core changed since it was opened."""
        for name, size, changed in self._stamps:
            stat = (self._source.path / name).stat()
            if (stat.st_size, stat.st_mtime_ns) != (size, changed):
                raise ChangedImageError(f"{self._source.path / name} changed while it was read")

    def sha256(self, progress: Any = None) -> str:
        """SHA-256 of the manifest, whose records have the hash of every core."""
        del progress
        return self._source.digest


def segments(view: NDArray[np.uint8]) -> tuple[list[tuple[int, int, int]] | None, int]:
    """([(virtual address, pages, first page in the file)] ascending, bytes that are missing) of an ELF64 core; None if
    it is none. Segments that overlap or make no sense end the list."""
    head = bytes(view[:64])
    if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", head, 16)[0] != 4:
        return None, 0
    place, section = struct.unpack_from("<QQ", head, 32)
    count = struct.unpack_from("<H", head, 56)[0]
    if count == 0xFFFF and section + 64 <= len(view):
        count = struct.unpack_from("<I", bytes(view[section : section + 64]), 44)[0]
    table = bytes(view[place : place + _PROGRAM.size * min(count, _MOST_SEGMENTS)])
    rows: list[tuple[int, int, int]] = []
    cut, end = 0, 0
    for number in range(len(table) // _PROGRAM.size):
        kind, _, offset, start, _, size, _, _ = _PROGRAM.unpack_from(table, number * _PROGRAM.size)
        if kind != 1 or not size:
            continue
        if start < end or start % PAGE or offset % PAGE or size % PAGE or start + size > 1 << 64:
            break
        end = start + size
        there = max(0, min(size, len(view) - offset)) // PAGE * PAGE
        cut += size - there
        if there:
            rows.append((start, there // PAGE, offset // PAGE))
    return rows, cut
