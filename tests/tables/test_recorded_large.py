# SPDX-License-Identifier: Apache-2.0
"""Files that read-ahead brought into memory in large folios and anonymous memory in large pages, as the kernels of
recorded nodes told them (tests/lab/small/large.c); frames, map counts and rss: tests/kernel/test_frames_recorded.py."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from memir.kernel.mm import page_roots
from memir.kernel.rows import spread
from tests.kernel.recorded import PATHS, node, records, rows, told
from tests.lab.recorded import NUMBERS

pytestmark = pytest.mark.parametrize("name", PATHS)
TEXT = "".join(f"{number}\n" for number in range(1, NUMBERS + 1)).encode()
PAGE = 4096
LRU, ANON, TAIL, THP = 5, 12, 16, 22


def tails(name: str, bit: int, but: int = 63) -> int:
    """Frames of compound pages behind the first one, in whose head kpageflags has the bit, and not the other."""
    flags = told(name).flags
    tail = flags & np.uint64(1 << TAIL) != 0
    head = np.maximum.accumulate(np.where(tail, 0, np.arange(len(flags))))
    of_head = flags[head] & np.uint64(1 << bit | 1 << but)
    return int((tail & (of_head == np.uint64(1 << bit))).sum())


def test_file_in_large_folios(name: str) -> None:
    """Whole, by its hash, and each frame by its name; from 6.1 on read-ahead on XFS makes folios of many pages."""
    assert (tails(name, LRU, but=ANON) > 500) == ("-5.10-" not in name)
    (file,) = [row for row in rows(name, "inodes") if row["node_path"] == "/data/numbers"]
    pages = -(-len(TEXT) // PAGE)
    assert (file["fstype"], file["size"], file["cached"]) == ("xfs", len(TEXT), pages * PAGE)
    assert file["sha256"] == hashlib.sha256(TEXT).hexdigest()
    (held,) = [row for row in rows(name, "pages") if row["path"] == "/data/numbers"]
    assert (held["kind"], held["frames"], held["fstype"]) == ("file", pages, "xfs")


def test_memory_in_large_pages(name: str) -> None:
    """Two of 2 MiB, of which a child has one small page of its own and a quarter of the second no more."""
    (large,) = records(name, "TOLD", "large")
    kernel, pid_of = node(name).kernel, node(name).pid_of
    living = node(name).processes.living
    task = {pid_of[each]: each for each in living.tolist()}
    mm = kernel.pointer(np.array([task[large["pid"]], task[large["child"]]], np.uint64), "task_struct", "mm")
    maps = kernel.space.user_mappings(page_roots(kernel, mm))
    assert tails(name, THP) >= 1022
    words = []
    for owner in (0, 1):
        mine = (maps.owner == owner) & (maps.va >= large["anonymous"]) & (maps.va < large["anonymous"] + (4 << 20))
        row, step = spread((maps.size[mine] // PAGE).astype(np.int64))
        offset = step.astype(np.uint64) * np.uint64(PAGE)
        place, frame = maps.va[mine][row] + offset, maps.pa[mine][row] + offset
        text = [kernel.memory.read(address, 16).split(b"\0")[0] for address in frame.tolist()]
        words.append(dict(zip((place - np.uint64(large["anonymous"])).tolist(), text, strict=True)))
    parent, child = words
    assert parent == dict.fromkeys(range(0, 4 << 20, PAGE), b"MEMIR-LARGE")
    gone = range(2 << 20, (2 << 20) + (512 << 10), PAGE)
    kept = {at: word for at, word in parent.items() if at not in gone}
    assert child == {**kept, 0x5000: b"MEMIR-REPLACED"}
