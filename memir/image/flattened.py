# SPDX-License-Identifier: Apache-2.0
"""makedumpfile's flattened format (-F; what QEMU's dump-guest-memory writes for kdump): pieces in writing order.

A header block, then records of {offset, size} (big-endian, 64 bits) and `size` bytes that belong at `offset` of the
file that `makedumpfile -R` would restore; the offset -1 ends them. Read in place, without restoring.
https://github.com/makedumpfile/makedumpfile/blob/master/makedumpfile.h (makedumpfile_header, makedumpfile_data_header)
"""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np

from memir.errors import ImageFormatError, TruncatedImageError
from memir.image.lazy import LazyBacking
from memir.image.source import LazyFile, Source, read

MAGIC = b"makedumpfile\0\0\0\0"
_HEADER_SIZE = 4096
_CHUNK = 1 << 18  # many small records lie in one: fewer cuts
_MAX_RECORDS = 1 << 24  # 1 TiB in records of 64 KiB
_MAX_SIZE = 1 << 48  # 256 TiB: more RAM than any machine has, and sums stay far from 64 bits


def restored(source: Source, folder: Path | None, allow_truncated: bool) -> tuple[LazyFile, int]:
    """(the file as makedumpfile -R would restore it, bytes missing at its end).

    ImageFormatError for records that cannot be, TruncatedImageError if the last one is cut and that is not allowed.
    """
    head = read(source, 0, min(32, source.size))
    if len(head) < 32 or int.from_bytes(head[16:24], "big") != 1:
        raise ImageFormatError(f"{source.name}: a flattened kdump of type {int.from_bytes(head[16:24], 'big')}, not 1")
    target, length, origin = array("q"), array("q"), array("q")
    place, missing, end = _HEADER_SIZE, 0, 0
    while True:
        if place + 16 > source.size:
            missing = 16
            break
        words = read(source, place, 16)
        offset, size = int.from_bytes(words[:8], "big", signed=True), int.from_bytes(words[8:], "big", signed=True)
        if offset == -1:
            break
        if offset < 0 or size <= 0 or offset + size > _MAX_SIZE or len(target) >= _MAX_RECORDS:
            raise ImageFormatError(
                f"{source.name}: record at offset {place:#x} of the flattened kdump says {size} bytes at {offset:#x}"
            )
        there = min(size, source.size - place - 16)
        target.append(offset)
        length.append(there)
        origin.append(place + 16)
        end = max(end, offset + there)
        place += 16 + size
        if there < size:
            missing = size - there
            break
    if missing and not allow_truncated:
        raise TruncatedImageError(
            f"{source.name}: the flattened kdump is cut off by the end of the file ({source.size} bytes): copy the "
            "file again, or read what is there with --allow-truncated"
        )
    if not end:
        raise ImageFormatError(f"{source.name}: a flattened kdump without any data")
    return LazyFile(f"{source.name} (restored)", _backing(source, target, length, origin, end, folder), source), missing


def _backing(
    source: Source, target: array[int], length: array[int], origin: array[int], end: int, folder: Path | None
) -> LazyBacking:
    begins, sizes = np.array(target, np.int64), np.array(length, np.int64)
    order = np.argsort(begins, kind="stable")
    begins = begins[order]
    longest = int(sizes.max())

    def load(which: int) -> bytes:
        low, high = which * _CHUNK, min((which + 1) * _CHUNK, end)
        first, last = np.searchsorted(begins, low - longest, "left"), np.searchsorted(begins, high, "left")
        out = bytearray(high - low)
        # what was written later (the header, once all is known) stands over what was written first
        for number in np.sort(order[first:last]).tolist():
            begin, size, place = target[number], length[number], origin[number]
            copied, stop = max(begin, low), min(begin + size, high)
            if copied < stop:
                out[copied - low : stop - low] = read(source, place + copied - begin, stop - copied)
        return bytes(out)

    return LazyBacking.even(end, _CHUNK, load, folder)
