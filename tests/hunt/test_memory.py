# SPDX-License-Identifier: Apache-2.0
"""RAM as a hunt sees it: which pages are empty, whose page lies where."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from memir.hunt.memory import PAGE, expand, nonzero_pages, read_memory, swapped, used
from memir.image.open import open_image
from memir.kube.ram import RamSource
from tests.hunt.hunting import ram


def test_pages_with_anything_in_them() -> None:
    content = {3: b"", 4: b"\0" * 4095 + b"x", 5: b"", 900: b"a", 901: b""}
    assert nonzero_pages(ram(content), 2).tolist() == [False, True, False, True, False]


def test_holes_of_a_sparse_file_are_zeros_and_not_read(tmp_path: Path) -> None:
    path, size = tmp_path / "sparse.raw", 8 << 30
    with path.open("wb") as file:
        os.truncate(file.fileno(), size)
        for at in (5 << 20, (7 << 30) + 4096, size - 1):
            os.pwrite(file.fileno(), b"x", at)
    stored = path.stat().st_blocks
    with open_image(path) as memory:
        some = nonzero_pages(memory, 2)
    assert np.flatnonzero(some).tolist() == [(5 << 20) // PAGE, (7 << 30) // PAGE + 1, size // PAGE - 1]
    assert len(some) == size // PAGE and path.stat().st_blocks == stored


def test_every_frame_as_a_slow_look_sees_it(node_of: Callable[[str], RamSource], image: str) -> None:
    node = node_of(image)
    threads = node.processes.threads
    memory = read_memory(node.kernel, threads.task, threads.tgid)
    frames = memory.pages.pfn()
    assert len(memory.nonzero) == len(frames)
    sample = frames[:: max(len(frames) // 2000, 1)]
    slow = [any(memory.physical.read_partial(int(frame) << 12, PAGE)[0]) for frame in sample.tolist()]
    assert used(memory, sample).tolist() == slow
    assert not used(memory, np.array([1 << 42], np.uint64)).any()


def test_regions_and_pages_of_processes(node_of: Callable[[str], RamSource], image: str) -> None:
    node = node_of(image)
    threads = node.processes.threads
    memory = read_memory(node.kernel, threads.task, threads.tgid)
    user = {one.tgid for one in node.processes.rows if one.exe}
    assert {pid for pids in memory.pids for pid in pids} >= user > set()
    low, high = memory.leaf
    region = int(np.argmax(high - low))
    page, frame = expand(memory, int(low[region]), int(high[region]))
    start, end = int(memory.vmas.start[region]) >> 12, int(memory.vmas.end[region]) >> 12
    assert len(page) == len(frame) > 0 and start <= int(page[0]) and int(page[-1]) < end
    assert (np.diff(page.astype(np.int64)) > 0).all()


def test_frames_of_swapped_pages() -> None:
    """Behind all RAM; they hold something, which nobody has looked at."""
    frame = np.array([1, 1 << 40, 1 << 43, (1 << 43) + 7], np.uint64)
    assert swapped(frame).tolist() == [False, False, True, True]
