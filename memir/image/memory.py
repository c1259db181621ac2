# SPDX-License-Identifier: Apache-2.0
"""One view of physical memory over every image format.

The bytes of the image are one numpy array: the mapped file itself where the format stores RAM as it is, or a sparse
scratch mapping that is filled on demand where RAM is compressed or far away. A physical address becomes an index into
that array by its range; everything else is numpy gathers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from memir.errors import AbsentMemoryError
from memir.image.addresses import AddressMap
from memir.image.gather import aligned
from memir.image.gather import rows as copied
from memir.image.layout import Layout, Range, Segment, checked, ranges_of
from memir.image.lazy import PAGE, LazyBacking
from memir.image.resident import Resident
from memir.image.runs import pages, runs, without_absent
from memir.image.source import MappedFile

__all__ = ["Layout", "PhysicalMemory", "Range", "Segment"]

U64 = NDArray[np.uint64]
Bools = NDArray[np.bool_]
_TOP = 1 << 64
_WORD = struct.Struct("<Q")


class PhysicalMemory:
    """The RAM of a node.

    path, format, container: what was opened. file_size: bytes of the file given. size: bytes of RAM present.
    ranges: present memory, sorted, not overlapping. end: first address after all. missing: bytes that a truncated
    file lacks. repairs: what was not as the format has it, and how it was read. Physical addresses are uint64 arrays
    and may hold anything: what is not present gives 0 and False.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._data = layout.data.data
        self._lazy: LazyBacking | None = layout.data.lazy
        segments = checked(layout)
        self._map = AddressMap(segments)
        self._aligned = aligned(self._data)
        self._resident = Resident(self._data)
        self.path = layout.original.name
        self.format, self.container = layout.format, layout.container
        self.file_size, self.missing = layout.original.size, layout.missing
        self.holes_may_be_zero, self.notes = layout.holes_may_be_zero, layout.notes
        self.repairs = layout.repairs
        self.ranges = ranges_of(segments)
        self.size = sum(part.size for part in self.ranges)
        self.end = self.ranges[-1].end
        self._beyond: PhysicalMemory | None = None

    @classmethod
    def from_reader(
        cls,
        ranges: Sequence[Range],
        read: Callable[[int, int], bytes | None],
        name: str,
        format: str,
        folder: Path | None = None,
    ) -> PhysicalMemory:
        """Memory behind someone else's reader: read(pa, size) gives the bytes, or None if not all of them are there.

        ranges: rising, not overlapping. Read 64 KiB at a time; where that fails, page by page, so that only what is
        absent counts as absent. folder: for the scratch file.
        """
        from memir.image.reader import reader_layout

        return cls(reader_layout(ranges, read, name, format, folder))

    def rearranged(self, segments: Sequence[Segment], repair: str) -> PhysicalMemory:
        """Another view of the same file: other addresses for its bytes. repair: why, "" to say nothing.

        Both views share the file: closing one closes the other.
        """
        repairs = (*self.repairs, repair) if repair else self.repairs
        return PhysicalMemory(dataclasses.replace(self._layout, segments=list(segments), repairs=repairs))

    def extend(self, other: PhysicalMemory) -> None:
        """Let gather(), present() and read_partial() also give what another memory has behind the end of this one.

        For pages that the machine kept in another form, at addresses that no RAM has; `ranges`, `size`, `end` and
        views() stay the image's own.
        """
        self._beyond = other

    # -- where

    def locate(self, pa: U64, size: int) -> tuple[NDArray[np.int64], Bools]:
        """(index into the bytes int64[n], all `size` bytes present in one run bool[n]); the index is 0 where not."""
        index, ok = self._map.locate(np.asarray(pa, np.uint64), size)
        if self._lazy is not None:
            self._lazy.ensure(index[ok], size)
            if self._lazy.absent is not None:
                ok = without_absent(index, ok, size, self._lazy.absent)
        return index, ok

    def absent_ranges(self) -> list[Range]:
        """Pages inside `ranges` that turned out to be absent so far, ascending: a lazy reader learns it on the way."""
        absent = self._lazy.absent if self._lazy is not None else None
        return [] if absent is None else self._map.absent_ranges(absent)

    def present(self, pa: U64) -> Bools:
        """Whether each byte address is in the image, or in what extends it."""
        ok = self.locate(pa, 1)[1]
        if self._beyond is not None and not ok.all():
            rows = self._behind(pa, ok)
            ok[rows] = self._beyond.present(np.asarray(pa, np.uint64)[rows])
        return ok

    def _behind(self, pa: U64, ok: Bools) -> NDArray[np.intp]:
        """Rows, of those not ok, that only `_beyond` can have."""
        first = self._beyond.ranges[0].start if self._beyond is not None else _TOP - 1
        rows: NDArray[np.intp] = np.flatnonzero(~ok & (np.asarray(pa, np.uint64) >= np.uint64(first)))
        return rows

    # -- many reads at once

    def gather(self, pa: U64, size: int, out: NDArray[np.uint8] | None = None) -> tuple[NDArray[np.uint8], Bools]:
        """(uint8[n, size], read bool[n]) of the bytes at these addresses; rows not wholly present are zeros.

        out: uint8[m, size] with m >= n, to be filled and returned instead of a new array.
        """
        index, ok = self.locate(pa, size)
        if size == 0 or size > len(self._data):
            rows = np.zeros((len(index), size), np.uint8)
        else:
            if out is not None and not ok.all() and ok.any():
                index[~ok] = index[ok][0]  # any that lies as the others do: these rows are emptied below
            rows = copied(self._data, index, size, out)
            self._resident.touch(rows.nbytes)
        if not ok.all():
            rows[~ok] = 0
            for row, data in self._across(pa, size, ok):
                rows[row], ok[row] = np.frombuffer(data, np.uint8), True
            if self._beyond is not None and size:
                behind = self._behind(pa, ok)
                if len(behind):
                    rows[behind], ok[behind] = self._beyond.gather(np.asarray(pa, np.uint64)[behind], size)
        return rows, ok

    def gather_as(self, pa: U64, dtype: str) -> tuple[NDArray[Any], Bools]:
        """(values dtype[n], read bool[n]) of one little number at each address; 0 where not present."""
        kind = np.dtype(dtype)
        index, ok = self.locate(pa, kind.itemsize)
        values = self._values(index, kind)
        if np.count_nonzero(ok) != ok.size:
            values[~ok] = 0
            for row, data in self._across(pa, kind.itemsize, ok):
                values[row], ok[row] = np.frombuffer(data, kind)[0], True
        return values, ok

    def word(self, pa: int) -> int | None:
        """The 64-bit word at one address, None where not present: for a few reads that follow one from another."""
        index = self._map.index(pa, 8) if self._lazy is None else None
        if index is not None:
            return int(_WORD.unpack_from(self._data.data, index)[0])
        values, ok = self.gather_as(np.array([pa], np.uint64), "<u8")
        return int(values[0]) if ok[0] else None

    def gather_words(self, pa: U64, count: int) -> tuple[U64, Bools]:
        """(uint64[n, count], read bool[n]): `count` words from each address, as page tables are read."""
        rows, ok = self.gather(pa, 8 * count)
        return rows.view("<u8"), ok

    def _values(self, index: NDArray[np.int64], kind: np.dtype[Any]) -> NDArray[Any]:
        size = kind.itemsize
        if len(self._data) < size:
            return np.zeros(len(index), kind)
        words = self._aligned.get(size)
        if words is not None and not np.count_nonzero(index & (size - 1)):
            values: NDArray[Any] = words[index >> (size.bit_length() - 1)].view(kind)
            return values
        # a view with a step of one byte: any alignment, no copy
        every: NDArray[Any] = np.ndarray((len(self._data) - size + 1,), kind, self._data, 0, (1,))
        return every[index]

    def _across(self, pa: U64, size: int, ok: Bools) -> Iterator[tuple[int, bytes]]:
        """(row, bytes) of reads that run from one segment into the next without a hole: rare, so one by one."""
        pa = np.asarray(pa, np.uint64)
        for row in self._map.across(pa, size, ok).tolist():
            data, holes = self.read_partial(int(pa[row]), size)
            if not holes:
                yield row, data

    # -- single reads

    def read(self, pa: int, size: int) -> bytes:
        """Bytes at one address; AbsentMemoryError if any of them is not in the image."""
        # a size that the image itself claims may be absurd: do not make room for it first
        data, holes = self.read_partial(pa, size) if size <= self.size else (b"", [Range(pa, size)])
        if holes:
            raise AbsentMemoryError(
                f"{self.path}: physical address {holes[0].start:#x} ({size} bytes from {pa:#x}) is not in the image"
            )
        return data

    def read_partial(self, pa: int, size: int) -> tuple[bytes, list[Range]]:
        """Bytes at one address, zeros where not present, and what was not present."""
        if pa < 0 or size < 0 or pa + size > _TOP:
            return bytes(max(size, 0)), [Range(pa, size)]
        if self._beyond is not None and pa >= self._beyond.ranges[0].start:
            return self._beyond.read_partial(pa, size)
        parts: list[bytes] = []
        holes: list[Range] = []
        end = pa
        for start, view in self.views(1 << 30, pa, pa + size):
            if start > end:
                holes.append(Range(end, start - end))
                parts.append(bytes(start - end))
            parts.append(view.tobytes())
            end = start + len(view)
        if end < pa + size:
            holes.append(Range(end, pa + size - end))
            parts.append(bytes(pa + size - end))
        return b"".join(parts), holes

    def views(
        self, limit: int = 16 << 20, lo: int = 0, hi: int | None = None, *, skip_zeros: bool = False, hole: int = PAGE
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """(physical address, bytes) of all present memory in [lo, hi), in order, without a copy.

        No view is longer than `limit` bytes, but two that follow each other may be adjacent in memory. skip_zeros:
        leave out the whole pages known to be zeros without reading them (holes of a sparse file), where at least `hole`
        bytes of them lie side by side.
        """
        top = self.end if hi is None else min(hi, self.end)
        low = max(lo, 0)
        if low >= top:
            return
        for start, first, last, offset in self._map.parts(low, top):
            here = first
            while here < last:
                step = min(limit - (here - start) % limit, last - here)
                if skip_zeros and isinstance(self._layout.data, MappedFile):
                    stored = self._layout.data.data_runs(offset + here, offset + here + step)
                    for begin, end in pages(stored, offset, hole):
                        yield from self._present_views(max(begin, here), min(end, here + step), offset)
                else:
                    yield from self._present_views(here, here + step, offset)
                here += step

    def _present_views(self, low: int, high: int, offset: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Views of [low, high), which lies in the segment whose physical addresses become indexes by `offset`."""
        self.check_unchanged()
        index, end = low + offset, high + offset
        if self._lazy is not None:
            self._lazy.ensure_range(index, end)
            self._resident.touch(end - index)
            if self._lazy.absent is not None:
                for first, last in runs(~self._lazy.absent[index // PAGE : -(-end // PAGE)]):
                    here = max(index, (index // PAGE + first) * PAGE)
                    stop = min(end, (index // PAGE + last) * PAGE)
                    yield here - offset, self._data[here:stop]
                return
        else:
            self._resident.touch(end - index)
            if end - index >= 1 << 20 and isinstance(self._layout.data, MappedFile):
                self._layout.data.populate(index, end)
        yield low, self._data[index:end]

    # -- the file

    def identity(self) -> str:
        """A text that differs when the file does; cheap, no hash of the content."""
        return self._layout.original.identity()

    def check_unchanged(self) -> None:
        """Raise ChangedImageError if the file is not what it was when it was opened."""
        self._layout.original.check()
        if self._layout.data is not self._layout.original:
            self._layout.data.check()  # the unpacked copy

    def sha256(self, progress: Callable[[str, int, int], None] | None = None) -> str:
        """SHA-256 of the file as given (not of the RAM in it), in hexadecimal."""
        source, digest, step = self._layout.original, hashlib.sha256(), 16 << 20
        for start in range(0, source.size, step):
            source.check()
            end = min(start + step, source.size)
            if source.lazy is not None:
                source.lazy.ensure_range(start, end)
            elif isinstance(source, MappedFile):
                source.populate(start, end)
            digest.update(source.data[start:end].data)
            if progress is not None:
                progress("hashing", end, source.size)
        return digest.hexdigest()

    def close(self) -> None:
        """Close the file. Views that were handed out stay valid."""
        self._layout.original.close()
        self._layout.data.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
