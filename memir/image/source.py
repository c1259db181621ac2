# SPDX-License-Identifier: Apache-2.0
"""A file of bytes that a format lies in: mapped, or brought in when touched."""

from __future__ import annotations

import ctypes
import errno
import io
import mmap
import os
import re
import shlex
import stat
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from memir.errors import ChangedImageError, ImageError, ImageFormatError, TruncatedImageError
from memir.image.lazy import LazyBacking

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MADV_POPULATE_READ = 22  # Linux 5.14
_EHWPOISON = 133  # not in errno


class Source(Protocol):
    """size: bytes. data: uint8[size].

    lazy: what must be asked before data is read, None if data is always valid.
    """

    name: str
    size: int
    data: NDArray[np.uint8]

    @property
    def lazy(self) -> LazyBacking | None:
        """What must be asked before data is read."""

    def check(self) -> None:
        """Raise ChangedImageError if the file is not what it was when it was opened."""

    def identity(self) -> str:
        """A text that differs when the file does; cheap, no hash of the content."""

    def copy(self, offset: int, size: int) -> bytes:
        """Bytes that are within the source; ImageError if the disk does not give them."""

    def close(self) -> None:
        """Give the file back."""


def read(source: Source, offset: int, size: int) -> bytes:
    """Bytes of a source; TruncatedImageError if they are not all there."""
    if offset < 0 or size < 0 or offset + size > source.size:
        raise TruncatedImageError(
            f"{source.name}: {size} bytes at offset {offset:#x} are beyond the end of the file ({source.size} bytes)"
        )
    return source.copy(offset, size)


class SourceReader(io.RawIOBase):
    """A source as a binary file that is read from its start, or a part of it.

    A part is [start, end) of the source; offsets, tell() and seek() count from the part's start.
    """

    def __init__(self, source: Source, end: int | None = None, start: int = 0) -> None:
        self._source, self._start = source, start
        self._size = (source.size if end is None else end) - start
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset from the start, from here or from the end; the new one."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = min(max(base + offset, 0), self._size)
        return self._at

    def tell(self) -> int:
        """Offset of the next byte."""
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer with the next bytes; how many there were."""
        with memoryview(buffer) as target:
            data = read(self._source, self._start + self._at, min(len(target), self._size - self._at))
            target[: len(data)] = data
        self._at += len(data)
        return len(data)


@dataclass(frozen=True, slots=True)
class _Stamp:
    device: int
    inode: int
    size: int
    mtime: int


class MappedFile:
    """A regular file, mapped read-only.

    A page of a mapping that can no longer be read (the file was cut shorter, the disk fails) ends the process with
    SIGBUS, which Python cannot turn into an exception. check() before every larger step notices a file that changed,
    and populate() asks the kernel first, so a scan of views gets an error; what stays is a file that is cut between
    the opening and a gather of single objects from a part of it not read before. Work on a file nothing writes to.
    """

    lazy: LazyBacking | None = None

    def __init__(self, path: Path, name: str = "") -> None:
        """name: what messages call it, if not by its path."""
        self.name = name or str(path)
        self._descriptor = _open(path)
        # many files are opened in one process: one that nobody closed gives its descriptor back when nobody holds it
        self._finalizer = weakref.finalize(self, os.close, self._descriptor)
        try:
            self._stamp = self._now()
            self.size = self._stamp.size
            if self.size == 0:
                raise ImageFormatError(f"{self.name} is empty")
            self._map = mmap.mmap(self._descriptor, self.size, prot=mmap.PROT_READ)
        except (OSError, ValueError, OverflowError) as error:
            self.close()
            raise ImageError(f"{path}: cannot be mapped: {error}") from error
        except ImageError:
            self.close()
            raise
        self.data: NDArray[np.uint8] = np.frombuffer(self._map, np.uint8)

    def _now(self) -> _Stamp:
        status = os.fstat(self._descriptor)
        return _Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def check(self) -> None:
        """Raise ChangedImageError if size or time of change differ from those at opening."""
        if self._descriptor < 0:
            raise ImageError(f"{self.name} is closed")
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

    def copy(self, offset: int, size: int) -> bytes:
        """Read, not mapped: a walk of all headers would make the whole file count as this process's memory."""
        try:
            data = os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise ImageError(f"{self.name}: the disk does not give the bytes at offset {offset:#x}: {error}") from error
        if len(data) == size:
            return data
        self.check()
        return self.data[offset : offset + size].tobytes()  # more than one read gives (2 GiB)

    def populate(self, low: int, high: int) -> None:
        """Map the pages [low, high) at once: a hundredfold cheaper than a fault each.

        ImageError if the kernel says that they cannot be read. Does nothing on kernels before 5.14.
        """
        first = low & ~(mmap.PAGESIZE - 1)
        address = self.data.ctypes.data + first
        failed = _LIBC.madvise(ctypes.c_void_p(address), ctypes.c_size_t(high - first), _MADV_POPULATE_READ)
        if failed and ctypes.get_errno() in (errno.EFAULT, _EHWPOISON):
            self.check()
            raise ImageError(f"{self.name}: the disk does not give the bytes at offsets {first:#x} to {high:#x}")

    def data_runs(self, low: int, high: int) -> Iterator[tuple[int, int]]:
        """The parts [first, end) of [low, high) that the file system stores; the rest are holes, read as zeros."""
        offset = low
        while offset < high:
            try:
                first = os.lseek(self._descriptor, offset, os.SEEK_DATA)
                end = os.lseek(self._descriptor, first, os.SEEK_HOLE)
            except OSError as error:
                if error.errno != errno.ENXIO:  # ENXIO: nothing but a hole up to the end
                    yield offset, high
                return
            if first >= high:
                return
            yield first, min(end, high)
            offset = end

    def close(self) -> None:
        """Close the descriptor; the mapping goes when the last view of it does."""
        self._finalizer()
        self._descriptor = -1


_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/+")


def _open(path: Path) -> int:
    """A descriptor of a regular file; a FIFO would block in open() and a device may have effects, so look first."""
    try:
        _regular(path, path.stat().st_mode)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        if isinstance(error, FileNotFoundError) and (scheme := _SCHEME.match(str(path))):
            why = f"memir opens files and s3://BUCKET/KEY, not {scheme[1]}: addresses"
        raise ImageError(f"{path}: cannot be opened: {why}") from error
    try:
        _regular(path, os.fstat(descriptor).st_mode)  # it may have been replaced in between
    except ImageFormatError:
        os.close(descriptor)
        raise
    return descriptor


def _regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        if (path / "case.json").is_file() and (path / "tables").is_dir():
            raise ImageFormatError(
                f"{path} is a case, not an image: ask it with `memir query {shlex.quote(str(path))} --list`, or "
                "give the image itself"
            )
        raise ImageFormatError(
            f"{path} is a folder: give an image file, or an evidence folder that memir acquire wrote"
        )
    if not stat.S_ISREG(mode):
        raise ImageFormatError(f"{path} is not a regular file")


_LIBC = ctypes.CDLL(None, use_errno=True)


class LazyFile:
    """A source over a LazyBacking, with the file it comes from behind it."""

    def __init__(self, name: str, backing: LazyBacking, behind: Source | None, identity: str = "") -> None:
        self.name = name
        self.size = backing.size
        self.data = backing.data
        self.lazy: LazyBacking = backing
        self._behind = behind
        self._identity = identity

    def check(self) -> None:
        """Ask the file behind."""
        if self._behind is not None:
            self._behind.check()

    def identity(self) -> str:
        """That of the file behind."""
        return self._behind.identity() if self._behind is not None else self._identity

    def copy(self, offset: int, size: int) -> bytes:
        """Brought in first."""
        self.lazy.ensure_range(offset, offset + size)
        return self.data[offset : offset + size].tobytes()

    def close(self) -> None:
        """Close the file behind."""
        self.lazy.close()
        if self._behind is not None:
            self._behind.close()
