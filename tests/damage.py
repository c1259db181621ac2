# SPDX-License-Identifier: Apache-2.0
"""Real images with some of their pages changed, and a bound on the work that reading one may take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memir.gaps import Gaps
from memir.image.memory import PhysicalMemory
from memir.kernel.engine import Kernel

PAGE = 4096
U64 = NDArray[np.uint64]


class Damaged(PhysicalMemory):
    """Memory that counts the addresses asked of it: a walk that does not end passes `limit` and fails."""

    work = 0
    limit = 1 << 62

    def locate(self, pa: U64, size: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        self.work += len(np.atleast_1d(pa)) + 1
        assert self.work < self.limit, f"more than {self.limit} addresses were read: a walk does not end"
        return super().locate(pa, size)


def damaged(memory: PhysicalMemory, pages: Mapping[int, bytes], limit: int | None = None) -> Damaged:
    """The memory with other contents in some pages, given by page frame number."""

    def read(pa: int, size: int) -> bytes:
        data = bytearray(memory.read(pa, size))
        for frame in range(pa // PAGE, -(-(pa + size) // PAGE)):
            if frame in pages:
                low, high = max(frame * PAGE, pa), min((frame + 1) * PAGE, pa + size)
                data[low - pa : high - pa] = pages[frame][low - frame * PAGE : high - frame * PAGE]
        return bytes(data)

    made = Damaged.from_reader(memory.ranges, read, str(memory.path), memory.format)
    assert isinstance(made, Damaged)
    if limit is not None:
        made.limit = limit
    return made


def zeroed(frames: Iterable[int]) -> dict[int, bytes]:
    return {int(frame): bytes(PAGE) for frame in frames}


def randomised(frames: Iterable[int], seed: int) -> dict[int, bytes]:
    rng = np.random.default_rng(seed)
    return {int(frame): rng.bytes(PAGE) for frame in frames}


def patched(memory: PhysicalMemory, changes: Mapping[int, bytes]) -> dict[int, bytes]:
    """Whole pages in which the bytes at some physical addresses are others."""
    pages: dict[int, bytearray] = {}
    for pa, data in changes.items():
        for at, value in enumerate(data, pa):
            page = pages.setdefault(at // PAGE, bytearray())
            if not page:
                page += memory.read(at // PAGE * PAGE, PAGE)
            page[at % PAGE] = value
    return {frame: bytes(page) for frame, page in pages.items()}


def by(rows: Iterable[dict[str, Any]], key: str) -> dict[Any, dict[str, Any]]:
    return {row[key]: row for row in rows}


def rewritten(kernel: Kernel, words: Mapping[int, bytes]) -> Kernel:
    """The same kernel in memory that has other bytes at some kernel virtual addresses; its gaps are its own."""
    places, known = kernel.space.physical(np.array(list(words), np.uint64))
    assert known.all()
    changes = dict(zip(places.tolist(), words.values(), strict=True))
    return Kernel(damaged(kernel.memory, patched(kernel.memory, changes)), kernel.anchors, Gaps())
