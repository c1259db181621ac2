"""A file of bytes that a format lies in: mapped, or brought in when touched."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from memir.errors import ChangedImageError, ImageError, ImageFormatError, TruncatedImageError
from memir.image.lazy import LazyBacking

_MADV_POPULATE_READ = 22  # Linux 5.14


class Source(Protocol):
    """size: bytes. data: uint8[size]. lazy: what must be asked before data is read, None if data is always valid."""

    name: str
    size: int
    data: NDArray[np.uint8]
    lazy: LazyBacking | None

    def check(self) -> None:
        """Raise ChangedImageError if the file is not what it was when it was opened."""

    def identity(self) -> str:
        """A text that differs when the file does; cheap, no hash of the content."""

    def close(self) -> None:
        """Give the file back."""


def read(source: Source, offset: int, size: int) -> bytes:
    """Bytes of a source; TruncatedImageError if they are not all there."""
    if offset < 0 or size < 0 or offset + size > source.size:
        raise TruncatedImageError(f"{source.name}: {size} bytes at offset {offset:#x} are beyond the end of the file ({source.size} bytes)")
    if source.lazy is not None:
        source.lazy.ensure_range(offset, offset + size)
    return source.data[offset : offset + size].tobytes()


@dataclass(frozen=True, slots=True)
class _Stamp:
    device: int
    inode: int
    size: int
    mtime: int


class MappedFile:
    """A regular file, mapped read-only.

    If someone cuts the file shorter while its pages are read, the kernel ends the process with SIGBUS, which Python
    cannot turn into an exception: check() is called before every larger step to make that window small.
    """

    lazy: LazyBacking | None = None

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            # a FIFO would block in open(), a device may have effects
            kind = path.stat().st_mode
            if stat.S_ISDIR(kind):
                raise ImageFormatError(f"{path} is a folder: give an image file, or an evidence folder that memir acquire wrote")
            if not stat.S_ISREG(kind):
                raise ImageFormatError(f"{path} is not a regular file")
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ImageError(f"{path}: cannot be opened: {error.strerror}") from error
        self._stamp = self._now()
        self.size = self._stamp.size
        if self.size == 0:
            os.close(self._descriptor)
            raise ImageFormatError(f"{path} is empty")
        try:
            self._map = mmap.mmap(self._descriptor, self.size, prot=mmap.PROT_READ)
        except (OSError, ValueError) as error:
            os.close(self._descriptor)
            raise ImageError(f"{path}: cannot be mapped: {error}") from error
        self.data: NDArray[np.uint8] = np.frombuffer(self._map, np.uint8)

    def _now(self) -> _Stamp:
        found = os.fstat(self._descriptor)
        return _Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

    def check(self) -> None:
        """Raise ChangedImageError if size or time of change differ from those at opening."""
        now = self._now()
        if now != self._stamp:
            raise ChangedImageError(
                f"{self.name} changed while it was read: {self._stamp.size} bytes at opening, {now.size} now: "
                "work on a copy that nothing writes to"
            )

    def identity(self) -> str:
        """Device, inode, size and time of change."""
        stamp = self._stamp
        return f"{stamp.device}:{stamp.inode}:{stamp.size}:{stamp.mtime}"

    def populate(self, low: int, high: int) -> None:
        """Map the pages [low, high) at once: a hundredfold cheaper than a fault each. Only a hint; errors do not matter."""
        address = self.data.ctypes.data + (low & ~4095)
        _LIBC.madvise(ctypes.c_void_p(address), ctypes.c_size_t(high - (low & ~4095)), _MADV_POPULATE_READ)

    def data_runs(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """The parts [first, end) of [low, high) that the file system stores; the rest are holes, which read as zeros."""
        at = low
        while at < high:
            try:
                first = os.lseek(self._descriptor, at, os.SEEK_DATA)
                end = os.lseek(self._descriptor, first, os.SEEK_HOLE)
            except OSError as error:
                if error.errno != errno.ENXIO:  # ENXIO: nothing but a hole up to the end
                    yield at, high
                return
            if first >= high:
                return
            yield first, min(end, high)
            at = end

    def close(self) -> None:
        """Close the descriptor; the mapping goes when the last view of it does."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_LIBC = ctypes.CDLL(None, use_errno=True)


class LazyFile:
    """A source over a LazyBacking, with the file it comes from behind it."""

    def __init__(self, name: str, backing: LazyBacking, behind: Source | None, identity: str = "") -> None:
        self.name = name
        self.size = backing.size
        self.data = backing.data
        self.lazy: LazyBacking | None = backing
        self._behind = behind
        self._identity = identity

    def check(self) -> None:
        """Ask the file behind."""
        if self._behind is not None:
            self._behind.check()

    def identity(self) -> str:
        """That of the file behind."""
        return self._behind.identity() if self._behind is not None else self._identity

    def close(self) -> None:
        """Close the file behind."""
        if self._behind is not None:
            self._behind.close()
