# SPDX-License-Identifier: Apache-2.0
"""Commands that bash keeps in its heap, with the time of each, whether or not it will write them to a file.

GNU readline's history.h: `typedef struct _hist_entry { char *line; char *timestamp; histdata_t data; } HIST_ENTRY`. The
timestamp is `#` and seconds since 1970; bash sets it for every command (HISTTIMEFORMAT decides only what is shown).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable

import numpy as np

from memir.kernel.pagetable import U64
from memir.kernel.rows import among
from memir.kube.log_line import LogLine, text_of

_STAMP = re.compile(rb"#([0-9]{9,10})\0")
_NAME = re.compile(r"(?:.*/)?r?bash")
_MOST = 1 << 17
"""Commands of one shell; bash keeps 500 by default."""
_LONGEST = 1 << 17  # bytes of a command
_BAD = re.compile(rb"[\0-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]")  # what nobody types: tab, newline, return and escape are


def is_bash(exe: str | None, comm: str | None) -> bool:
    """Whether a process may be one: by its executable, by its name where that is not known."""
    name = exe if exe is not None else comm
    return name is not None and _NAME.fullmatch(name) is not None


def heap_commands(runs: Iterable[tuple[int, bytes]]) -> list[LogLine]:
    """Commands in a process's own memory, in the order of its history.

    runs: (virtual address, bytes), as user_memory.anonymous_memory gives them. sequence: the number of a command among
    those that the history holds; None for one that is in it no more (`history -c`, HISTSIZE) and that was still there.
    """
    memory = _Memory(runs)
    stamp = memory.stamps()
    pair = memory.holding(np.array(list(stamp), np.uint64))
    entries: dict[int, tuple[int, bytes]] = {}
    for address, value in pair:
        line = memory.pointer(address - 8)
        text = None if line is None else memory.string(line)
        if text and not _BAD.search(text):
            entries[address - 8] = (stamp[value], text)
    order = memory.listed(entries)
    known = sorted(entries, key=lambda entry: (order.get(entry, _MOST), entries[entry][0], entry))
    return [
        LogLine(entries[entry][0] * 1_000_000, text_of(entries[entry][1]), sequence=order.get(entry))
        for entry in known[:_MOST]
    ]


class _Memory:
    """Runs of a process's memory, and what is found in them by address."""

    def __init__(self, runs: Iterable[tuple[int, bytes]]) -> None:
        every = sorted(runs, key=lambda run: run[0])
        self._start = [start for start, _ in every]
        self._data = [data for _, data in every]
        self._words: list[U64] = [np.frombuffer(data[: len(data) & ~7], "<u8").astype(np.uint64) for data in self._data]

    def stamps(self) -> dict[int, int]:
        """Seconds since 1970 by the address of the text that says so."""
        second: dict[int, int] = {}
        for start, data in zip(self._start, self._data, strict=True):
            for match in _STAMP.finditer(data):
                if len(second) >= _MOST:
                    return second
                second[start + match.start()] = int(match[1])
        return second

    def holding(self, values: U64) -> list[tuple[int, int]]:
        """(address, value) of every aligned word that is one of these."""
        pairs = []
        for start, words in zip(self._start, self._words, strict=True):
            place = np.flatnonzero(among(words, values))
            pairs += [(start + 8 * step, int(words[step])) for step in place.tolist()]
        return pairs

    def pointer(self, address: int) -> int | None:
        """The word at an address; None if it is not there."""
        data, offset = self._at(address)
        return int.from_bytes(data[offset : offset + 8], "little") if len(data) >= offset + 8 else None

    def string(self, address: int) -> bytes | None:
        """The text that ends with a NUL at an address; None if it is not there, or has no end."""
        data, offset = self._at(address)
        end = data.find(b"\0", offset, offset + _LONGEST)
        return data[offset:end] if end >= 0 else None

    def listed(self, entries: Iterable[int]) -> dict[int, int]:
        """Numbers from 1 on of entries in the history's own list: the longest run of words that are such addresses."""
        best: list[int] = []
        run: list[int] = []
        last = 0
        for address, value in self.holding(np.array(sorted(entries), np.uint64)):
            if address != last + 8:
                run = []
            run.append(value)
            last = address
            best = run if len(run) >= len(best) else best
        return {entry: number for number, entry in enumerate(best, 1)}

    def _at(self, address: int) -> tuple[bytes, int]:
        """(bytes of the run, offset in it) of an address; nothing where no run holds it."""
        row = bisect_right(self._start, address) - 1
        if row < 0 or address - self._start[row] >= len(self._data[row]):
            return b"", 0
        return self._data[row], address - self._start[row]
