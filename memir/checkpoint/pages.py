# SPDX-License-Identifier: Apache-2.0
"""The memory in a checkpoint: page maps say which pages of which process lie in pages-N.img, one behind the other.

CRIU dumps what cannot be had from a file: anonymous pages that were touched, and private copies of a file's pages. A
page that it does not hold is not known to be empty. All pages-N.img of an archive make one space of pages, in the order
of N, of which page frames here are numbers: what a hunt calls a physical address is a place in that space.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memir.checkpoint.archive import FOLDER, Archive
from memir.checkpoint.images import entries
from memir.errors import ImageFormatError
from memir.kernel.pagetable import U64

PAGE = 4096
PARENT, PRESENT = 1, 4
"""Flags of a page map's entry (PE_PARENT, PE_PRESENT): in the checkpoint before this one; in this one."""
_MOST_PAGES = 1 << 36  # of an entry: 256 TiB, as much as a process can have


@dataclass(frozen=True)
class PageMap:
    """Pages of one process. start: virtual address of each run's first page, ascending; count: pages; frame: of the
    first. Three uint64[n]."""

    start: U64
    count: U64
    frame: U64

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return int(self.count.sum())


class Pages:
    """The pages of all processes, and reading them."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._parts: list[memoryview] = []
        self._first: list[int] = []
        self._at: dict[int, tuple[int, int]] = {}
        self.total, self.absent = 0, 0
        """Pages that page maps name, and those of them that the archive lacks."""
        frames = 0
        for name in archive.images("pages-"):
            number = name.removeprefix(FOLDER + "pages-").removesuffix(".img")
            view = archive.view(name)
            if number.isdecimal() and len(number) < 12:
                self._at[int(number)] = (frames, len(view) // PAGE)
                self._first.append(frames)
                self._parts.append(view)
                frames += len(view) // PAGE
        self.frames = frames

    @property
    def path(self) -> Path:
        """The archive."""
        return self._archive.path

    def map_of(self, pid: int) -> PageMap | None:
        """The page map of a process; None, with a gap, if there is none that can be read."""
        gaps, name = self._archive.gaps, f"{FOLDER}pagemap-{pid}.img"
        if name not in self._archive.files:
            gaps.add("process memory", name, "not in the archive")
            return None
        try:
            rows, why = entries(self._archive.read(name), "pagemap", name)
        except ImageFormatError as error:
            rows, why = [], str(error).partition(": ")[2]
        if why is not None:
            gaps.add("process memory", name, f"page map: {why}")
        if not rows:
            return None
        first, room = self._at.get(rows[0].get("pages_id", 0), (0, 0))
        runs: list[tuple[int, int, int]] = []
        done, end = 0, 0
        for row in rows[1:]:
            start, count = row.get("vaddr", 0), row.get("nr_pages") or row.get("compat_nr_pages", 0)
            if start % PAGE or start < end or not 0 < count < _MOST_PAGES or start + count * PAGE > 1 << 64:
                gaps.add("process memory", f"{name} {start:#x}", "page map: entries overlap or make no sense")
                break
            end = start + count * PAGE
            self.total += count
            flags = row.get("flags")
            here = flags & PRESENT if flags is not None else not row.get("in_parent")
            there = min(count, room - done) if here else 0
            if count > there:
                why = "cut: pages are missing" if here else "in a checkpoint before this one, or never dumped"
                gaps.add("process memory", f"pid {pid} {start + there * PAGE:#x}", why, count - there)
                self.absent += count - there
            if there:
                runs.append((start, there, first + done))
            done += there
        table = np.array(runs, np.uint64).reshape(-1, 3)
        return PageMap(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy())

    def read(self, where: PageMap, start: int, size: int) -> bytes | None:
        """Bytes of a process from a virtual address on; None if a page of them is not in the checkpoint."""
        out = []
        end = start + size
        while start < end:
            row = int(np.searchsorted(where.start, np.uint64(start), "right")) - 1
            if row < 0:
                return None
            inside = start - int(where.start[row])
            left = int(where.count[row]) * PAGE - inside
            if left <= 0:
                return None
            take = min(left, end - start)
            out.append(self._bytes(int(where.frame[row]) * PAGE + inside, take))
            start += take
        return b"".join(out)

    def gather(
        self, pa: U64, size: int, out: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """(uint8[n, size], read bool[n]) of these places in the space of pages, each in one page; as PhysicalMemory."""
        count = len(pa)
        rows = np.zeros((count, size), np.uint8) if out is None or len(out) < count else out[:count]
        ok = np.asarray(pa, np.uint64) < np.uint64(self.frames * PAGE)
        for row, place in enumerate(np.asarray(pa, np.uint64).tolist()):
            rows[row] = np.frombuffer(self._bytes(place, size), np.uint8) if ok[row] else 0
        return rows, ok

    def _bytes(self, place: int, size: int) -> bytes:
        """Bytes of the space of pages, which lie in one part: those of one process do."""
        number = int(np.searchsorted(self._first, place // PAGE, "right")) - 1
        begin = place - self._first[number] * PAGE
        return bytes(self._parts[number][begin : begin + size])

    # what a scan and a case ask of an image's memory

    def check_unchanged(self) -> None:
        """ChangedImageError if the archive changed."""
        self._archive.check_unchanged()

    def sha256(self, progress: Any = None) -> str:
        """Hash of the archive."""
        return self._archive.sha256(progress)

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()
