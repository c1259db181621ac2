# SPDX-License-Identifier: Apache-2.0
"""Images split into numbered files, as `split -d -a 3` and imaging tools write them: NAME.000 (or .001) and so on."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from pathlib import Path

from memir.errors import ImageError
from memir.image.lazy import LazyBacking
from memir.image.source import LazyFile, MappedFile, read

_NUMBERED = re.compile(r"(.+)\.(\d{3})", re.DOTALL)
_CHUNK = 1 << 20
_MAX_PARTS = 1000  # three digits


def parts_of(path: Path) -> list[Path]:
    """All parts of the image that a path is one part of, in order; none if it is not split.

    ImageError if a part in the middle is missing.
    """
    match = _NUMBERED.fullmatch(path.name)
    if match is None:
        return []
    stem = match[1]
    there = [number for number in range(_MAX_PARTS) if _part(path, stem, number).is_file()]
    if len(there) < 2 or there[0] > 1 or int(match[2]) not in there:
        return []
    for before, number in itertools.pairwise(there):
        if number != before + 1:
            raise ImageError(f"{path}: part {_part(path, stem, before + 1).name} is missing: get it, then try again")
    return [_part(path, stem, number) for number in there]


def _part(path: Path, stem: str, number: int) -> Path:
    return path.with_name(f"{stem}.{number:03d}")


class JoinedFile(LazyFile):
    """The parts as one file; bytes are copied into the scratch file when they are touched."""

    def __init__(self, paths: list[Path], folder: Path | None) -> None:
        self._parts: list[MappedFile] = []
        try:
            for path in paths:
                self._parts.append(MappedFile(path))
        except ImageError:
            self._close_parts()
            raise
        begins = [0]
        for part in self._parts:
            begins.append(begins[-1] + part.size)
        self._begins = begins
        name = f"{paths[0]} to {paths[-1].name}"
        backing = LazyBacking.even(begins[-1], _CHUNK, self._load, folder)
        super().__init__(name, backing, None, "|".join(part.identity() for part in self._parts))

    def _load(self, which: int) -> bytes:
        offset, end = which * _CHUNK, min((which + 1) * _CHUNK, self._begins[-1])
        out: list[bytes] = []
        while offset < end:
            number = bisect_right(self._begins, offset) - 1
            size = min(end, self._begins[number + 1]) - offset
            out.append(read(self._parts[number], offset - self._begins[number], size))
            offset += size
        return b"".join(out)

    def check(self) -> None:
        """Ask every part."""
        for part in self._parts:
            part.check()

    def close(self) -> None:
        """Close all parts."""
        super().close()
        self._close_parts()

    def _close_parts(self) -> None:
        for part in self._parts:
            part.close()
