# SPDX-License-Identifier: Apache-2.0
"""Write memory out: raw, LiME and AVML version 2, as LiME and AVML themselves would."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from memir.errors import ImageError
from memir.image.lazy import is_zero
from memir.image.memory import PhysicalMemory
from memir.image.records import HEADER_SIZE, pack_header

BLOCK = 16 << 20
"""Bytes that AVML compresses at a time, from each range's start."""


def write_raw(memory: PhysicalMemory, path: Path) -> None:
    """A file in which a byte's offset is its physical address. What is absent, and whole zero blocks, are holes."""
    with _replacing(path) as out:
        for pa, view in memory.views(1 << 20, skip_zeros=True):
            data = view.tobytes()
            if not is_zero(data):
                out.seek(pa)
                out.write(data)
        out.truncate(memory.end)


def write_lime(memory: PhysicalMemory, path: Path) -> None:
    """A record of version 1 for every range, zeros and all."""
    with _replacing(path) as out:
        start = end = -1
        for pa, view in memory.views(BLOCK):
            if pa != end:
                _finish(out, start, end)
                out.write(bytes(HEADER_SIZE))
                start = pa
            out.write(view.data)
            end = pa + len(view)
        _finish(out, start, end)


def _finish(out: IO[bytes], start: int, end: int) -> None:
    """Fill in the header of the record just written: where a range ends is known only when it did."""
    if start < 0:
        return
    out.seek(-(end - start) - HEADER_SIZE, os.SEEK_CUR)
    out.write(pack_header(start, end))
    out.seek(0, os.SEEK_END)


def write_avml(memory: PhysicalMemory, path: Path) -> None:
    """A record of version 2 for every block of 16 MiB; blocks of zeros are left out, so they read as absent."""
    import cramjam

    with _replacing(path) as out:
        for pa, view in memory.views(BLOCK):
            data = view.tobytes()
            if is_zero(data):
                continue
            stream = bytes(cramjam.snappy.compress(data))
            out.write(pack_header(pa, pa + len(data), compressed=True))
            out.write(stream)
            out.write(len(stream).to_bytes(8, "little"))


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name when it is whole. ImageError if it cannot be written."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ImageError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as out:
            yield out
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise ImageError(f"{path}: cannot be written: {error.strerror}") from error
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
