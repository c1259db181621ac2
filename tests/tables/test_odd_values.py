# SPDX-License-Identifier: Apache-2.0
"""Real images in whose structs some numbers are others: extremes, signs, what was written by somebody. Every table is
read to its end and shown."""

from __future__ import annotations

import functools
import os

import numpy as np
import pytest

from memir.image.memory import PhysicalMemory
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.symbols.anchors import Anchors
from memir.symbols.locate import locate
from memir.tables.table import tables
from tests.damage import PAGE, damaged
from tests.images import case

SEEDS = range(4 if os.environ.get("CI") == "true" else 1)
RATES = (0.0005, 0.003)
POINTER = np.uint64(47), np.uint64(0x1FFFF)  # the highest bits of a kernel address
IMAGES = [
    pytest.param("s-6.1-small"),
    *(pytest.param(name, marks=pytest.mark.long("the same of another kernel"))
      for name in ("s-5.10-small-v1", "s-6.12-intruded", "s-7.2-small-la57", "arm64-6.12-small-lpa2")),
]  # fmt: skip


@functools.cache
def opened(name: str) -> tuple[PhysicalMemory, Anchors]:
    memory = case(name).open()
    return memory, locate(memory)


@functools.cache
def objects(name: str) -> dict[int, np.ndarray[tuple[int], np.dtype[np.uint64]]]:
    """The words of pages of kernel objects, by page frame: those with pointers, but the kernel's text."""
    memory, anchors = opened(name)
    text = range(*(anchors.image_pa(anchors.symbols[name]) // PAGE for name in ("_stext", "_etext")))
    pages = {}
    for part in memory.ranges:
        first = -(-part.start // PAGE)
        data = memory.read(first * PAGE, (part.end // PAGE - first) * PAGE)
        words = np.frombuffer(data, np.uint64).reshape(-1, 512)
        chosen = np.flatnonzero((words >> POINTER[0] == POINTER[1]).sum(1) >= 16).tolist()
        pages.update({first + row: words[row].copy() for row in chosen if first + row not in text})
    return pages


def odd_pages(name: str, rate: float, seed: int) -> dict[int, bytes]:
    """Those pages in which a share of the words that are no pointers are other numbers."""
    rng = np.random.default_rng(seed)
    changed = {}
    for frame, words in objects(name).items():
        odd = np.flatnonzero((words >> POINTER[0] != POINTER[1]) & (rng.random(512) < rate))
        if len(odd):
            page = words.copy()
            page[odd] = numbers(rng, len(odd))
            changed[frame] = page.tobytes()
    return changed


def numbers(rng: np.random.Generator, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    extremes = np.array([0, (1 << 64) - 1, 0x8000_0000_8000_0000, 0x7FFF_FFFF_7FFF_FFFF], np.uint64)
    random = rng.integers(0, 1 << 64, count, np.uint64)
    small = rng.integers(0, 1 << 20, count, np.uint64) | rng.integers(0, 1 << 32, count, np.uint64) << np.uint64(32)
    return np.choose(rng.integers(0, 3, count), [rng.choice(extremes, count), random, small])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", IMAGES)
def test_every_table_is_read(name: str, rate: float) -> None:
    for seed in SEEDS:
        pages = odd_pages(name, rate, seed)
        assert len(pages) > 100
        memory, anchors = opened(name)
        node = RamSource(Kernel(damaged(memory, pages), anchors))
        for table in tables().values():
            if node.kind in table.readers:
                frame = table.read(node)
                assert len(frame.rows()) == len(frame), f"seed {seed}: {table.name}"
