# SPDX-License-Identifier: Apache-2.0
"""Every frame, process and cgroup as the kernel told them through kpageflags, kpagecount, kpagecgroup, pagemap,
smaps_rollup and memory.stat, the machine being stopped right after: 99.5 % of frames equal, sums within a percent."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from memir.kernel import frames as kinds
from memir.kernel.frames import KINDS, Frames
from memir.kernel.mm import page_roots
from memir.kernel.rows import spread
from tests.kernel.recorded import PATHS, node, rows, told
from tests.kernel.test_frames import every

PAGE = 4096
# include/uapi/linux/kernel-page-flags.h
LRU, SLAB, BUDDY, ANON, TAIL, UNEVICTABLE, ZERO, TABLE, RESERVED = 5, 7, 10, 12, 16, 18, 24, 26, 32
# what the kernel sets apart at boot is reserved, whatever it does with it
BOOT = (kinds.IMAGE, kinds.STRUCT_PAGES, kinds.RESERVED, kinds.PER_CPU, kinds.TABLE, kinds.VMALLOC)
# of these kpageflags tells nothing: pages that were given out without a flag, and free ones that a processor keeps
SILENT = (kinds.NOT_KNOWN, kinds.VMALLOC, kinds.STACK, kinds.TABLE, kinds.PER_CPU, kinds.LARGE, kinds.ZSMALLOC,
          kinds.FREE)  # fmt: skip
ALLOWED = {
    BUDDY: (kinds.FREE,), ANON: (kinds.ANONYMOUS,), LRU: (kinds.FILE,), SLAB: (kinds.SLAB,), TABLE: (kinds.TABLE,),
    ZERO: (kinds.ZERO,), RESERVED: BOOT, 0: SILENT,
}  # fmt: skip
NAMED = {BUDDY: "free", ANON: "anonymous", LRU: "file", SLAB: "slab", TABLE: "page table", ZERO: "zero page",
         RESERVED: "reserved", 0: "no flag"}  # fmt: skip


@dataclass
class Compared:
    """One entry a frame: whether kind, map count and cgroup are as the kernel told; told, its kind."""

    known: Frames
    told: np.ndarray[Any, np.dtype[np.int64]]
    kind: np.ndarray[Any, np.dtype[np.bool_]]
    count: np.ndarray[Any, np.dtype[np.bool_]]
    charge: np.ndarray[Any, np.dtype[np.bool_]]

    def differences(self) -> dict[str, int]:
        """By what differs, what the kernel told, what memir names it: frames."""
        counted: Counter[str] = Counter()
        for name, same in (("kind", self.kind), ("map count", self.count), ("cgroup", self.charge)):
            pairs = zip(self.told[~same].tolist(), self.known.kind[~same].tolist(), strict=True)
            counted.update(f"{name}: {NAMED[of]} / {KINDS[mine]}" for of, mine in pairs)
        return dict(counted.most_common())


def compared(name: str) -> Compared:
    source, recorded = node(name), told(name)
    known = every(source)
    pfn = known.pages.pfn().astype(np.int64)
    own = recorded.flags[pfn]
    # what a compound page is its head tells, on some kernels it alone
    head = np.maximum.accumulate(np.where(_bit(own, TAIL), 0, np.arange(len(own))))
    of = np.zeros(len(own), np.int64)
    for bit, value in ((RESERVED, own), (UNEVICTABLE, own[head]), (LRU, own[head]), (ANON, own[head]),
                       (SLAB, own[head]), (TABLE, own[head]), (ZERO, own[head]), (BUDDY, own)):  # fmt: skip
        of[_bit(value, bit)] = LRU if bit == UNEVICTABLE else bit
    allowed = np.zeros((64, len(KINDS)), bool)
    for bit, good in ALLOWED.items():
        allowed[bit, list(good)] = True
    kernel = source.kernel
    maps = kernel.space.user_mappings(page_roots(kernel, source.regions[0]))
    row, step = spread((maps.size >> np.uint64(12)).astype(np.int64))
    place = known.pages.position((maps.pa[row] >> np.uint64(12)) + step.astype(np.uint64))
    mapped = np.bincount(place[place >= 0], minlength=len(own))
    return Compared(
        known, of, allowed[of, known.kind], mapped == recorded.count[pfn].astype(np.int64),
        _inodes(name, known) == recorded.cgroup[pfn][head],
    )  # fmt: skip


def _bit(flags: Any, number: int) -> Any:
    return (flags >> np.uint64(number)) & np.uint64(1) != 0


def _inodes(name: str, known: Frames) -> Any:
    """The inode number that kpagecgroup shows: of the cgroup, of a removed one's nearest parent that is there."""
    tree = node(name).cgroup_tree
    rows_of = zip(tree.path, tree.ident, tree.dying, strict=True)
    there = {path: int(number) for path, number, gone in rows_of if not gone}
    shown = {0: 0}
    for address, path in zip(tree.cgroup.tolist(), tree.path, strict=True):
        above = path
        while above not in there:
            assert above
            above = above.rpartition("/")[0] or "/"
        shown[address] = there[above]
    unique, back = np.unique(known.charge, return_inverse=True)
    return np.array([shown[value] for value in unique.tolist()], np.uint64)[back]


@pytest.mark.parametrize("name", PATHS)
def test_frames_are_as_the_kernel_told(name: str) -> None:
    both = compared(name)
    same = both.kind & both.count & both.charge
    assert same.mean() >= 0.995, both.differences()
    # each kind for itself: what is told as such is named so but for what changed before the machine stood still
    for bit in (ANON, LRU, TABLE):
        of = both.told == bit
        assert of.sum() > 150 and both.kind[of].mean() >= 0.995, (NAMED[bit], both.differences())
    assert both.kind[both.told == BUDDY].mean() >= 0.99
    assert len(same) == sum(part.size >> 12 for part in node(name).kernel.memory.ranges)


@pytest.mark.parametrize("name", PATHS)
def test_processes_map_what_pagemap_told(name: str) -> None:
    """Each page of each process at its address and frame, but for those mapped by number ([vvar]): not told."""
    source, recorded = node(name), told(name)
    kernel = source.kernel
    living = source.processes.living
    mm = kernel.pointer(living, "task_struct", "mm")
    pids = {source.pid_of[task]: space for task, space in zip(living.tolist(), mm.tolist(), strict=True) if space}
    assert set(recorded.pages) == set(pids)
    maps = kernel.space.user_mappings(page_roots(kernel, np.array(list(pids.values()), np.uint64)))
    wrong: dict[int, Any] = {}
    total = 0
    by_number: dict[int, list[tuple[int, int]]] = defaultdict(lambda: [(0, 0)])
    for region in rows(name, "vmas"):
        if "pf" in region["flags"]:
            by_number[region["pid"]].append((region["start"], region["end"]))
    for number, pid in enumerate(pids):
        mine = maps.owner == number
        row, step = spread((maps.size[mine] >> np.uint64(12)).astype(np.int64))
        offset = step.astype(np.uint64) << np.uint64(12)
        va, frame = maps.va[mine][row] + offset, (maps.pa[mine][row] + offset) >> np.uint64(12)
        plain = ~np.any([(va >= low) & (va < high) for low, high in by_number[pid]], axis=0)
        have = set(zip(va[plain].tolist(), frame[plain].tolist(), strict=True))
        address, entry = recorded.pages[pid].T
        there = _bit(entry, 63)
        want = set(zip(address[there].tolist(), (entry[there] & np.uint64((1 << 55) - 1)).tolist(), strict=True))
        total += len(want)
        if have != want:
            wrong[pid] = (recorded.comm[pid], len(have - want), len(want - have))
    assert total > 3000 and wrong == {}


@pytest.mark.parametrize("name", PATHS)
def test_resident_memory_of_processes(name: str) -> None:
    """Rss of smaps_rollup, to the page (asked for: within a percent or 256 pages)."""
    have: dict[int, int] = defaultdict(int)
    for row in rows(name, "vmas"):
        have[row["pid"]] += row["rss"]
    want = {pid: lines["Rss"] << 10 for pid, lines in told(name).rollup.items()}
    assert len(want) > 20
    assert {pid: have[pid] for pid in want} == want


@pytest.mark.parametrize("name", PATHS)
def test_memory_of_cgroups(name: str) -> None:
    """anon, file and shmem of memory.stat, each with what lies below: within a percent or 256 pages."""
    have: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows(name, "pages"):
        wide = {"anonymous": ("anon",), "file": ("file",), "block device": ("file",), "tmpfs": ("file", "shmem")}
        path = row["cgroup"]
        while path is not None:
            have[path].update(dict.fromkeys(wide.get(row["kind"], ()), row["bytes"]))
            path = None if path == "/" else path.rpartition("/")[0] or "/"
    wrong = {}
    for path, lines in told(name).stat.items():
        for line in ("anon", "file", "shmem"):
            if abs(have[path][line] - lines[line]) > max(lines[line] // 100, PAGE * 256):
                wrong[path, line] = (have[path][line], lines[line])
    assert wrong == {}
    assert sum(lines["anon"] > 0 for lines in told(name).stat.values()) >= 8
