# SPDX-License-Identifier: Apache-2.0
"""A file as far as the page cache has it: its bytes by place, and where it has holes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from memir.image.lazy import is_zero

_PAGE = 4096


class CachedFile:
    """pages: of a file in order, the last one cut at its end; None for one that is not there.

    A page of zeros is taken as not there either: a capture leaves what it could not read so, and no log has one. It is
    not counted as missing, as files are made longer than what is written in them.
    """

    def __init__(self, pages: Sequence[bytes | None]) -> None:
        blank = np.array([page is not None and is_zero(page) for page in pages], np.int64)
        self._blank = np.concatenate(([0], np.cumsum(blank)))
        self.size = max(0, (len(pages) - 1) * _PAGE + len(pages[-1] or b"\0" * _PAGE)) if pages else 0
        self.pages = pages = [None if zeros else page for page, zeros in zip(pages, blank.tolist(), strict=True)]
        self._here = np.concatenate(([0], np.cumsum([page is not None for page in pages], dtype=np.int64)))

    @property
    def missing(self) -> int:
        """Pages that are not there."""
        return self.missing_until(self.size)

    def missing_until(self, end: int) -> int:
        """Pages that are not there of those that begin before `end`."""
        count = min(len(self.pages), -(-max(end, 0) // _PAGE))
        return count - int(self._here[count]) - int(self._blank[count])

    def has(self, start: int, size: int) -> bool:
        """Whether all of these bytes are there."""
        if start < 0 or size < 0 or start + size > self.size:
            return False
        if not size:
            return True
        first, last = start // _PAGE, -(-(start + size) // _PAGE)
        return int(self._here[last] - self._here[first]) == last - first

    def read(self, start: int, size: int) -> bytes | None:
        """These bytes; None unless all of them are there."""
        if not self.has(start, size):
            return None
        if not size:
            return b""
        first = start // _PAGE
        if start + size <= (first + 1) * _PAGE:
            return (self.pages[first] or b"")[start - first * _PAGE : start - first * _PAGE + size]
        whole = b"".join(page or b"" for page in self.pages[first : -(-(start + size) // _PAGE)])
        return whole[start - first * _PAGE : start - first * _PAGE + size]

    def runs(self) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of each stretch without a hole."""
        parts: list[bytes] = []
        start = 0
        for number, page in enumerate(self.pages):
            if page is None:
                if parts:
                    yield start, b"".join(parts)
                parts = []
                continue
            if not parts:
                start = number * _PAGE
            parts.append(page)
        if parts:
            yield start, b"".join(parts)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """(offset, line) of each whole line; what a hole cuts off at either end is left out."""
        for start, data in self.runs():
            offset = 0
            if start:
                offset = data.find(b"\n") + 1
                if not offset:
                    continue
            while (end := data.find(b"\n", offset)) >= 0:
                yield start + offset, data[offset:end]
                offset = end + 1
            if offset < len(data) and start + len(data) == self.size:
                yield start + offset, data[offset:]
