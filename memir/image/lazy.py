"""Bytes that are brought in when they are first touched.

Compressed chunks, ranges of an object in S3 and other readers all look like one flat array: a shared mapping of an
unlinked, sparse scratch file. The kernel can write its pages out, so an image larger than RAM works.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memir.errors import ImageError

PAGE = 4096
Loader = Callable[[int], bytes | None]


class LazyBacking:
    """A flat array of `size` bytes in chunks; `load(i)` gives the bytes of chunk i, or None if it is absent.

    data: uint8[size]; a part is valid only after ensure() or ensure_range() covered it.
    absent: bool per 4 KiB page of the array, None while nothing was found absent.
    A load that raises leaves its chunk unloaded. Threads may call freely; a chunk is loaded once.
    """

    def __init__(self, size: int, chunk_starts: NDArray[np.int64], load: Loader, folder: Path | None = None) -> None:
        """chunk_starts: int64[n], rising, the first 0: where each chunk begins. folder: for the scratch file."""
        self.size = size
        self._starts = chunk_starts
        self._load = load
        self._loaded = np.zeros(len(chunk_starts), bool)
        self._lock = threading.Lock()
        self.absent: NDArray[np.bool_] | None = None
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as scratch:
                os.truncate(scratch.fileno(), max(size, 1))
                self._map = mmap.mmap(scratch.fileno(), max(size, 1))
        except (OSError, OverflowError, ValueError) as error:
            raise ImageError(f"no scratch space of {size} bytes in {folder or tempfile.gettempdir()}: {error}") from error
        self.data: NDArray[np.uint8] = np.frombuffer(self._map, np.uint8, size)

    @classmethod
    def even(cls, size: int, chunk: int, load: Loader, folder: Path | None = None) -> LazyBacking:
        """Chunks of one size, the last one shorter."""
        return cls(size, np.arange(0, max(size, 1), chunk, dtype=np.int64), load, folder)

    def ensure(self, index: NDArray[np.int64], size: int) -> None:
        """Bring in all bytes [index, index + size) of every index, which must lie inside the array."""
        if not len(index) or self._loaded.all():
            return
        first = np.searchsorted(self._starts, index, "right") - 1
        last = np.searchsorted(self._starts, index + max(size - 1, 0), "right") - 1
        wanted = np.zeros(len(self._starts) + 1, np.int64)
        np.add.at(wanted, first, 1)
        np.add.at(wanted, last + 1, -1)
        self._bring(np.flatnonzero((np.cumsum(wanted[:-1]) > 0) & ~self._loaded))

    def ensure_range(self, low: int, high: int) -> None:
        """Bring in the bytes [low, high)."""
        if high <= low:
            return
        first = int(np.searchsorted(self._starts, low, "right")) - 1
        last = int(np.searchsorted(self._starts, high - 1, "right"))
        self._bring(np.flatnonzero(~self._loaded[first:last]) + first)

    def _bring(self, chunks: NDArray[np.int64]) -> None:
        for chunk in chunks.tolist():
            with self._lock:
                if self._loaded[chunk]:
                    continue
                low = int(self._starts[chunk])
                high = int(self._starts[chunk + 1]) if chunk + 1 < len(self._starts) else self.size
                raw = self._load(chunk)
                if raw is None:
                    self.mark_absent(low, high)
                elif len(raw) != high - low:
                    raise ImageError(f"chunk {chunk} gave {len(raw)} bytes, {high - low} were promised")
                elif raw.count(0) != len(raw):  # the scratch file is sparse: zeros stay holes
                    self._map[low:high] = raw
                self._loaded[chunk] = True

    def mark_absent(self, low: int, high: int) -> None:
        """Say that the pages [low, high) are not there."""
        if self.absent is None:
            self.absent = np.zeros(-(-self.size // PAGE), bool)
        self.absent[low // PAGE : -(-high // PAGE)] = True
