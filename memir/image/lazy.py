# SPDX-License-Identifier: Apache-2.0
"""Bytes that are brought in when they are first touched.

Compressed chunks, ranges of an object in S3 and other readers all look like one flat array: a shared mapping of an
unlinked, sparse scratch file. The kernel can write its pages out, so an image larger than RAM works.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memir.errors import ImageError

PAGE = 4096
Loader = Callable[[int], bytes | None]
_EMPTY, _LOADING, _LOADED = 0, 1, 2


def is_zero(data: bytes) -> bool:
    """Whether all bytes are zero. Compares: bytes.count() is ten times slower on mixed data."""
    return data.startswith(bytes(min(64, len(data)))) and data == bytes(len(data))


def scratch_folder() -> Path:
    """Where scratch files go if nothing else is said: /var/tmp, as /tmp is RAM on many systems."""
    if not os.environ.get("TMPDIR") and os.access("/var/tmp", os.W_OK):
        return Path("/var/tmp")
    return Path(tempfile.gettempdir())


class LazyBacking:
    """A flat array of `size` bytes in chunks; `load(i)` gives the bytes of chunk i, or None if it is absent.

    data: uint8[size], read-only; a part is valid only after ensure() or ensure_range() covered it.
    absent: bool per 4 KiB page of the array, None while nothing was found absent.
    A load that raises leaves its chunk unloaded. Threads may call freely: a chunk is loaded once, several at a time.
    """

    def __init__(
        self,
        size: int,
        chunk_starts: NDArray[np.int64],
        load: Loader,
        folder: Path | None = None,
        *,
        workers: int = 0,
        ahead: int = 0,
    ) -> None:
        """chunk_starts: int64[n], rising, the first 0: where each chunk begins. folder: for the scratch file.

        workers: own threads that load the chunks of one call side by side. ahead: how many chunks they fetch in
        advance while a reader goes through the array in order.
        """
        self.size = size
        self._starts = chunk_starts
        self._load = load
        self._workers, self._ahead, self._next = workers, ahead if workers else 0, -1
        self._pool: ThreadPoolExecutor | None = None
        self._changed = threading.Condition()
        self._folder = folder or scratch_folder()
        self.absent: NDArray[np.bool_] | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # kept open for as long as this object lives; it has no name, so nothing stays behind
            self._scratch = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
            os.truncate(self._scratch.fileno(), max(size, 1))
            mapped = mmap.mmap(self._scratch.fileno(), max(size, 1), prot=mmap.PROT_READ)
            self._state = np.zeros(len(chunk_starts), np.uint8)
            self._valid = np.zeros(-(-size // PAGE), bool)
        except (OSError, OverflowError, ValueError, MemoryError) as error:
            raise ImageError(f"no scratch space of {size} bytes in {self._folder}: {error}") from error
        self._left = len(chunk_starts)
        self.data: NDArray[np.uint8] = np.frombuffer(mapped, np.uint8, size)

    @classmethod
    def even(
        cls,
        size: int,
        chunk: int,
        load: Loader,
        folder: Path | None = None,
        *,
        workers: int = 0,
        ahead: int = 0,
    ) -> LazyBacking:
        """Chunks of one size, the last one shorter."""
        starts = np.arange(0, max(size, 1), chunk, dtype=np.int64)
        return cls(size, starts, load, folder, workers=workers, ahead=ahead)

    # -- asking

    def ensure(self, index: NDArray[np.int64], size: int) -> None:
        """Bring in all bytes [index, index + size) of every index, which must lie inside the array."""
        if not len(index) or not self._left:
            return
        final = index + max(size - 1, 0)
        if size <= PAGE:
            late = ~(self._valid[index // PAGE] & self._valid[final // PAGE])
            if not late.any():
                return
            index, final = index[late], final[late]
        first = np.searchsorted(self._starts, index, "right") - 1
        last = np.searchsorted(self._starts, final, "right")
        count = len(self._starts)
        wanted = np.cumsum(np.bincount(first, minlength=count + 1) - np.bincount(last, minlength=count + 1))
        self._bring(np.flatnonzero((wanted[:-1] > 0) & (self._state != _LOADED)))

    def ensure_range(self, low: int, high: int) -> None:
        """Bring in the bytes [low, high)."""
        if high <= low or not self._left:
            return
        first = int(np.searchsorted(self._starts, low, "right")) - 1
        last = int(np.searchsorted(self._starts, high - 1, "right"))
        if self._ahead and 0 <= first <= self._next < last:
            # a reader that goes on where it stopped: keep the threads busy while it works
            pool = self._threads()
            for chunk in range(last, min(last + self._ahead, len(self._starts))):
                if self._state[chunk] == _EMPTY:
                    pool.submit(self._background, chunk)
        self._next = last
        self._bring(np.flatnonzero(self._state[first:last] != _LOADED) + first)

    def mark_absent(self, low: int, high: int) -> None:
        """Say that the pages [low, high) are not there. For loaders, before they return."""
        with self._changed:
            if self.absent is None:
                self.absent = np.zeros(-(-self.size // PAGE), bool)
            self.absent[low // PAGE : -(-high // PAGE)] = True

    def close(self) -> None:
        """Stop the threads. What is loaded stays readable for as long as someone holds `data`."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    # -- bringing in

    def _threads(self) -> ThreadPoolExecutor:
        with self._changed:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers, "memir-load")
            return self._pool

    def _bring(self, chunks: NDArray[np.int64]) -> None:
        wanted = chunks.tolist()
        if self._workers and len(wanted) > 1:
            pool = self._threads()
            running = [pool.submit(self._one, chunk) for chunk in wanted]
            try:
                for future in running:
                    future.result()
            finally:
                for future in running:
                    future.cancel()
            return
        for chunk in wanted:
            self._one(chunk)

    def _background(self, chunk: int) -> None:
        # nobody waits for this one: who needs the chunk meets the error himself
        with contextlib.suppress(Exception):
            if self._state[chunk] == _EMPTY:
                self._one(chunk)

    def _one(self, chunk: int) -> None:
        with self._changed:
            while self._state[chunk] == _LOADING:
                self._changed.wait()
            if self._state[chunk] == _LOADED:
                return
            self._state[chunk] = _LOADING
        after = _EMPTY
        try:
            low = int(self._starts[chunk])
            high = int(self._starts[chunk + 1]) if chunk + 1 < len(self._starts) else self.size
            raw = self._load(chunk)
            if raw is None:
                self.mark_absent(low, high)
            elif len(raw) != high - low:
                raise ImageError(f"chunk {chunk} gave {len(raw)} bytes, {high - low} were promised")
            elif not is_zero(raw):  # the scratch file is sparse: zeros stay holes
                self._store(raw, low)
            # a page that two chunks share is never called valid: it goes the long way in ensure()
            self._valid[-(-low // PAGE) : high // PAGE if high < self.size else len(self._valid)] = True
            after = _LOADED
        finally:
            with self._changed:
                self._state[chunk] = after
                self._left -= after == _LOADED
                self._changed.notify_all()

    def _store(self, raw: bytes, index: int) -> None:
        """Written, not copied into the mapping: a full disk is an error here, and would be SIGBUS there."""
        rest = memoryview(raw)
        try:
            while rest:
                done = os.pwrite(self._scratch.fileno(), rest, index)
                rest, index = rest[done:], index + done
        except OSError as error:
            raise ImageError(
                f"{self._folder}: scratch file for the unpacked part of the image: {error.strerror}; "
                "choose another folder with --cache"
            ) from error
