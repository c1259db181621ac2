# SPDX-License-Identifier: Apache-2.0
"""How much of a mapped image counts as this process's memory at a time.

Every page of a mapping that was touched stays in the process's page table until something takes it out. Under memory
pressure the kernel would, but a container's limit or an out-of-memory killer sees the sum before: reading an image of
64 GiB must not look as if it needed 64 GiB.
"""

from __future__ import annotations

import ctypes
import mmap
import threading

import numpy as np
from numpy.typing import NDArray

LIMIT = 1 << 30
"""Bytes that may stay mapped: a node of 1 GiB and the used part of a larger one are read without a second fault."""

_LIBC = ctypes.CDLL(None, use_errno=True)
_MADV_DONTNEED = 4


class Resident:
    """Lets a mapping's pages go once `limit` bytes of it have been touched. Threads may go on reading meanwhile.

    data: uint8[n], a read-only mapping of a file, whose pages come back from the page cache when they are read again.
    """

    def __init__(self, data: NDArray[np.uint8], limit: int = LIMIT) -> None:
        self._data, self._limit = data, limit
        self._touched = 0
        self._lock = threading.Lock()
        # a smaller mapping can never grow beyond the limit; memory that is no mapping of a file must not be given away
        self._counts = len(data) > limit and _is_mapping(data)

    def touch(self, size: int) -> None:
        """Say that `size` more bytes were read; what was read before may be let go."""
        if not self._counts:
            return
        with self._lock:
            self._touched += size
            if self._touched <= self._limit:
                return
            self._touched = 0
        _LIBC.madvise(
            ctypes.c_void_p(self._data.ctypes.data), ctypes.c_size_t(len(self._data)), ctypes.c_int(_MADV_DONTNEED)
        )


def _is_mapping(data: NDArray[np.uint8]) -> bool:
    """Whether an array is the whole of a mapping: on anonymous memory MADV_DONTNEED would leave zeros."""
    base = data.base
    while isinstance(base, np.ndarray):
        base = base.base
    whole = base.obj if isinstance(base, memoryview) else base
    return isinstance(whole, mmap.mmap) and data.ctypes.data % mmap.PAGESIZE == 0
