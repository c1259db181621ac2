"""One view of physical memory over every image format.

The bytes of the image are one numpy array: the mapped file itself where the format stores RAM as it is, or a sparse
scratch mapping that is filled on demand where RAM is compressed or far away. A physical address becomes an index into
that array by its range; everything else is numpy gathers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from memir.errors import AbsentMemoryError
from memir.image.lazy import PAGE, LazyBacking
from memir.image.source import LazyFile, MappedFile, Source

U64 = NDArray[np.uint64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Range:
    """Physical addresses [start, start + size), bytes."""

    start: int
    size: int

    @property
    def end(self) -> int:
        """First address after the range."""
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Segment:
    """Where a run of physical memory lies in the image's bytes: `size` bytes of `start` at index `offset`."""

    start: int
    size: int
    offset: int


@dataclass(frozen=True)
class Layout:
    """What a format's reader found. segments: rising, not overlapping. missing: bytes promised but not there.

    data: what the segments' offsets point into. original: the file as given.
    holes_may_be_zero: the tool leaves out blocks of zeros, so an absent range may be zeros.
    """

    format: str
    segments: Sequence[Segment]
    data: Source
    original: Source
    container: str | None = None
    missing: int = 0
    holes_may_be_zero: bool = False
    notes: dict[str, bytes] = field(default_factory=dict)


class PhysicalMemory:
    """The RAM of a node.

    path, format, container: what was opened. file_size: bytes of the file given. size: bytes of RAM present.
    ranges: present memory, sorted, not overlapping. end: first address after all. missing: bytes a truncated file lacks.
    Physical addresses are uint64 arrays and may hold anything: what is not present gives 0 and False.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._data = layout.data.data
        self._lazy: LazyBacking | None = layout.data.lazy
        segments = _merged(layout.segments)
        self._starts = np.array([one.start for one in segments], np.uint64)
        self._sizes = np.array([one.size for one in segments], np.uint64)
        self._offsets = np.array([one.offset for one in segments], np.int64)
        self.path = layout.original.name
        self.format, self.container = layout.format, layout.container
        self.file_size, self.missing = layout.original.size, layout.missing
        self.holes_may_be_zero, self.notes = layout.holes_may_be_zero, layout.notes
        self.ranges = _ranges(segments)
        self.size = sum(one.size for one in self.ranges)
        self.end = max((one.end for one in self.ranges), default=0)

    @classmethod
    def from_reader(
        cls, ranges: Sequence[Range], read: Callable[[int, int], bytes | None], name: str, format: str, folder: Path | None = None
    ) -> PhysicalMemory:
        """Memory behind someone else's reader: read(pa, size) gives the bytes, or None if not all of them are there.

        Read 64 KiB at a time; where that fails, page by page, so that only what is absent counts as absent.
        """
        segments, offset = [], 0
        for part in ranges:
            segments.append(Segment(part.start, part.size, offset))
            offset += -(-part.size // PAGE) * PAGE
        chunk = 1 << 16
        pieces = [(one, at) for one in segments for at in range(0, one.size, chunk)]
        starts = np.array([one.offset + at for one, at in pieces] or [0], np.int64)
        backing: LazyBacking

        def load(which: int) -> bytes:
            one, at = pieces[which]
            size = min(chunk, one.size - at)
            end = int(starts[which + 1]) if which + 1 < len(starts) else offset
            whole = read(one.start + at, size)
            if whole is None:
                parts = []
                for page in range(0, size, PAGE):
                    length = min(PAGE, size - page)
                    part = read(one.start + at + page, length)
                    if part is None:
                        backing.mark_absent(one.offset + at + page, one.offset + at + page + length)
                    parts.append(part if part is not None else bytes(length))
                whole = b"".join(parts)
            return whole.ljust(end - int(starts[which]), b"\0")

        backing = LazyBacking(offset, starts, load, folder)
        source = LazyFile(name, backing, None, name)
        return cls(Layout(format, segments, source, source))

    # -- where

    def locate(self, pa: U64, size: int) -> tuple[NDArray[np.int64], Bools]:
        """(index into the bytes int64[n], all `size` bytes present in one run bool[n]); the index is 0 where not."""
        pa = np.asarray(pa, np.uint64)
        length = np.uint64(size)
        if len(self._starts) == 1:
            inside = pa - self._starts[0]
            ok = (inside < self._sizes[0]) & (self._sizes[0] - inside >= length)
            index = np.where(ok, inside, np.uint64(0)).astype(np.int64) + self._offsets[0]
        elif len(self._starts) == 0:
            return np.zeros(len(pa), np.int64), np.zeros(len(pa), bool)
        else:
            which = np.searchsorted(self._starts, pa, "right") - 1
            inside = pa - self._starts[which]
            ok = (which >= 0) & (inside < self._sizes[which]) & (self._sizes[which] - inside >= length)
            index = np.where(ok, inside, np.uint64(0)).astype(np.int64) + np.where(ok, self._offsets[which], 0)
        if self._lazy is not None:
            self._lazy.ensure(index[ok], size)
            if self._lazy.absent is not None:
                ok = ok & ~self._lazy.absent[index // PAGE] & ~self._lazy.absent[(index + max(size - 1, 0)) // PAGE]
        return index, ok

    def present(self, pa: U64) -> Bools:
        """Whether each byte address is in the image."""
        return self.locate(pa, 1)[1]

    # -- many reads at once

    def gather(self, pa: U64, size: int) -> tuple[NDArray[np.uint8], Bools]:
        """(uint8[n, size], read bool[n]) of the bytes at these addresses; rows not wholly present are zeros."""
        index, ok = self.locate(pa, size)
        if size == 0 or size > len(self._data):
            rows = np.zeros((len(index), size), np.uint8)
        else:
            rows = np.lib.stride_tricks.sliding_window_view(self._data, size)[index]
        if not ok.all():
            rows[~ok] = 0
            self._across(pa, rows, ok)
        return rows, ok

    def _across(self, pa: U64, rows: NDArray[np.uint8], ok: Bools) -> None:
        """Rows that run from one range into the next without a hole: rare, so one by one."""
        if len(self._starts) < 2:
            return
        size = rows.shape[1]
        for row in np.flatnonzero(~ok & self.present(pa) & self.present(pa + np.uint64(max(size - 1, 0)))):
            data, holes = self.read_partial(int(pa[row]), size)
            if not holes:
                rows[row], ok[row] = np.frombuffer(data, np.uint8), True

    def gather_as(self, pa: U64, dtype: str) -> tuple[NDArray[Any], Bools]:
        """(values dtype[n], read bool[n]) of one little number at each address; 0 where not present."""
        kind = np.dtype(dtype)
        index, ok = self.locate(pa, kind.itemsize)
        if len(self._data) < kind.itemsize:
            return np.zeros(len(index), kind), ok
        # a view with a step of one byte: any alignment, no copy
        every = np.ndarray((len(self._data) - kind.itemsize + 1,), kind, self._data, 0, (1,))
        values = every[index]
        if not ok.all():
            values[~ok] = 0
            if len(self._starts) > 1:
                rows = np.zeros((len(index), kind.itemsize), np.uint8)
                before = ok.copy()
                self._across(pa, rows, ok)
                late = ok & ~before
                values[late] = rows[late].view(kind)[:, 0]
        return values, ok

    def gather_words(self, pa: U64, count: int) -> tuple[U64, Bools]:
        """(uint64[n, count], read bool[n]): `count` words from each address, as page tables are read."""
        rows, ok = self.gather(pa, 8 * count)
        return rows.view("<u8"), ok

    # -- single reads

    def read(self, pa: int, size: int) -> bytes:
        """Bytes at one address; AbsentMemoryError if any of them is not in the image."""
        data, holes = self.read_partial(pa, size)
        if holes:
            raise AbsentMemoryError(f"{self.path}: physical address {holes[0].start:#x} ({size} bytes from {pa:#x}) is not in the image")
        return data

    def read_partial(self, pa: int, size: int) -> tuple[bytes, list[Range]]:
        """Bytes at one address, zeros where not present, and what was not present."""
        if pa < 0 or size < 0 or pa + size > 1 << 64:
            return bytes(max(size, 0)), [Range(pa, size)]
        parts: list[bytes] = []
        holes: list[Range] = []
        at = pa
        for start, view in self.views(1 << 30, pa, pa + size):
            if start > at:
                holes.append(Range(at, start - at))
                parts.append(bytes(start - at))
            parts.append(view.tobytes())
            at = start + len(view)
        if at < pa + size:
            holes.append(Range(at, pa + size - at))
            parts.append(bytes(pa + size - at))
        return b"".join(parts), holes

    def views(
        self, limit: int = 16 << 20, lo: int = 0, hi: int | None = None, *, skip_zeros: bool = False
    ) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """(physical address, bytes) of all present memory in [lo, hi), in order, without a copy, `limit` bytes at most.

        Borders lie at multiples of `limit` from the start of each range. skip_zeros: leave out what is known to be
        zeros without reading it (holes of a sparse file), cut to whole pages.
        """
        top = self.end if hi is None else hi
        for start, size, offset in zip(self._starts.tolist(), self._sizes.tolist(), self._offsets.tolist(), strict=True):
            first, last = max(start, lo), min(start + size, top)
            while first < last:
                step = min(limit - (first - start) % limit, last - first)
                index = offset + first - start
                if skip_zeros and isinstance(self._layout.data, MappedFile):
                    for low, high in self._layout.data.data_runs(index, index + step):
                        yield from self._present_views(first + low - index, low, high - low)
                else:
                    yield from self._present_views(first, index, step)
                first += step

    def _present_views(self, pa: int, index: int, size: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        self._layout.original.check()
        if self._lazy is not None:
            self._lazy.ensure_range(index, index + size)
            absent = self._lazy.absent
            if absent is not None and absent[index // PAGE : -(-(index + size) // PAGE)].any():
                yield from self._around_absent(pa, index, size, absent)
                return
        elif size >= 1 << 20 and isinstance(self._layout.data, MappedFile):
            self._layout.data.populate(index, index + size)
        yield pa, self._data[index : index + size]

    def _around_absent(self, pa: int, index: int, size: int, absent: Bools) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        at = index
        while at < index + size:
            page_end = min((at // PAGE + 1) * PAGE, index + size)
            if absent[at // PAGE]:
                at = page_end
                continue
            end = page_end
            while end < index + size and not absent[end // PAGE]:
                end = min(end + PAGE, index + size)
            yield pa + at - index, self._data[at:end]
            at = end

    # -- the file

    def identity(self) -> str:
        """A text that differs when the file does; cheap, no hash of the content."""
        return self._layout.original.identity()

    def check_unchanged(self) -> None:
        """Raise ChangedImageError if the file is not what it was when it was opened."""
        self._layout.original.check()

    def sha256(self, progress: Callable[[str, int, int], None] | None = None) -> str:
        """SHA-256 of the file as given (not of the RAM in it), in hexadecimal."""
        source, digest, step = self._layout.original, hashlib.sha256(), 16 << 20
        for at in range(0, source.size, step):
            source.check()
            end = min(at + step, source.size)
            if source.lazy is not None:
                source.lazy.ensure_range(at, end)
            digest.update(source.data[at:end])
            if progress is not None:
                progress("hashing", end, source.size)
        return digest.hexdigest()

    def close(self) -> None:
        """Close the file. Views that were handed out stay valid."""
        self._layout.original.close()
        self._layout.data.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _merged(segments: Sequence[Segment]) -> list[Segment]:
    """Segments that go on both in memory and in the file become one."""
    merged: list[Segment] = []
    for one in segments:
        last = merged[-1] if merged else None
        if last and last.start + last.size == one.start and last.offset + last.size == one.offset:
            merged[-1] = Segment(last.start, last.size + one.size, last.offset)
        elif one.size:
            merged.append(one)
    return merged


def _ranges(segments: Sequence[Segment]) -> tuple[Range, ...]:
    ranges: list[Range] = []
    for one in segments:
        if ranges and ranges[-1].end == one.start:
            ranges[-1] = Range(ranges[-1].start, ranges[-1].size + one.size)
        else:
            ranges.append(Range(one.start, one.size))
    return tuple(ranges)
