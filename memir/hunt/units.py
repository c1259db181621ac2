# SPDX-License-Identifier: Apache-2.0
"""What is scanned: regions of processes, files of the page cache, windows of kernel and free memory.

Every unit is a list of page frames in the order in which its owner sees them, so a string that runs over a
page border is found although the pages lie apart in RAM. A unit that several processes have alike is one
unit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from memir.hunt.memory import PAGE, SHIFT, Memory, expand, swapped, used
from memir.kernel.page import ANON, FILE, FREE, KERNEL, UNKNOWN
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import among

Kind = Literal["process", "files", "kernel", "free", "unknown"]
KINDS: tuple[Kind, ...] = ("process", "files", "kernel", "free", "unknown")
WINDOW = 4096
"""Pages of kernel or free memory in one unit: 16 MiB."""


@dataclass(slots=True)
class Unit:
    """Pages that rules see as one piece.

    place: int64[n], which page of the unit each is, rising. pfn: uint64[n], its frame. span: pages of the
    whole, absent and empty ones included. joined: neighbours in the unit are neighbours to their owner; if
    not, a match over a border counts only where the frames are neighbours too. mms: which address spaces
    have this unit (indexes), None for units that are no process's. mapping: address_space of the file that it is or
    maps, 0 for none or if nobody asked. variables: what rules may ask of it (see variables.py).
    """

    kind: Kind
    name: str
    place: NDArray[np.int64]
    pfn: U64
    span: int
    joined: bool = True
    mms: list[int] | None = None
    mapping: int = 0
    variables: dict[str, str] | None = None

    @property
    def size(self) -> int:
        """Bytes that are there to be scanned."""
        return PAGE * len(self.pfn)


def process_units(
    memory: Memory, chosen: Bools, files_apart: bool, programs: Sequence[int] | None = None
) -> list[Unit]:
    """The regions of the chosen address spaces (bool[m]), alike ones once.

    files_apart: leave out regions of which every page is a file's: the file's own unit holds them all.
    programs: what runs in each address space, where rules tell regions apart by it and by the file they map.
    """
    mapping = None
    if programs is not None:
        kernel = memory.kernel
        mapping = kernel.pointer(memory.vmas.file, "file", "f_mapping", gap=False).tolist()
    units: dict[bytes, Unit] = {}
    absent = 0
    space: _Space | None = None
    for mm, start, end, low, high, region in _regions(memory, chosen):
        if space is None or space.mm != mm:
            space = _space(memory, mm)
        here = slice(int(space.offset[low - space.low]), int(space.offset[high - space.low]))
        page, frame, keep = space.page[here], space.frame[here], space.keep[here]
        inside = (page >= start) & (page < end)
        absent += int((space.absent[here] & inside).sum())
        keep = keep & inside
        page, frame = page[keep], frame[keep]
        if not len(frame) or (files_apart and space.file[here][keep].all()):
            continue
        place = (page - np.uint64(start)).astype(np.int64)
        file = mapping[region] if mapping is not None and region >= 0 else 0
        told = (file or programs[mm]) if programs is not None else 0
        key = hashlib.blake2b(
            told.to_bytes(8, "little") + place.tobytes() + frame.tobytes() + (end - start).to_bytes(8, "little"),
            digest_size=16,
        ).digest()
        known = units.get(key)
        if known is not None and known.mms is not None:
            if known.mms[-1] != mm:
                known.mms.append(mm)
            continue
        pid = memory.pids[mm][0] if memory.pids[mm] else 0
        name = f"process {pid} region {start << 12:#x}-{end << 12:#x}"
        units[key] = Unit("process", name, place, frame, end - start, mms=[mm], mapping=file)
    memory.kernel.gaps.add("hunt", "process memory", "mapped page not in the image", absent)
    return list(units.values())


@dataclass(frozen=True, slots=True)
class _Space:
    """The 4 KiB pages of an address space: what is asked of each region's is asked of all of them at once.

    offset: int64[leaves + 1], where the pages of its leaf entries from `low` on begin. page, frame: uint64[n]. keep,
    absent, file: bool[n], whether it is scanned, mapped and not in the image, a page of a file.
    """

    mm: int
    low: int
    offset: NDArray[np.int64]
    page: U64
    frame: U64
    keep: Bools
    absent: Bools
    file: Bools


def _space(memory: Memory, mm: int) -> _Space:
    maps = memory.mappings
    low, high = np.searchsorted(maps.owner, [mm, mm + 1]).tolist()
    page, frame = expand(memory, low, high)
    offset = np.concatenate(([0], np.cumsum((maps.size[low:high] >> SHIFT).astype(np.int64))))
    absent = (memory.pages.position(frame) < 0) & ~swapped(frame)
    return _Space(mm, low, offset, page, frame, used(memory, frame), absent, memory.pages.use_of(frame) == FILE)


def _regions(memory: Memory, chosen: Bools) -> Iterator[tuple[int, int, int, int, int, int]]:
    """(address space, first page, end page, low and high leaf, row in memory.vmas) of regions, and with row -1 of
    pages mapped outside any."""
    low, high = memory.leaf
    regions = memory.vmas
    covered = np.zeros(len(memory.mappings.va) + 1, np.int64)
    np.add.at(covered, low, 1)
    np.add.at(covered, high, -1)
    columns = (regions.owner, regions.start >> SHIFT, regions.end >> SHIFT, low, high)
    for number, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        if row[4] > row[3] and chosen[row[0]]:
            yield (*row, number)
    loose = np.flatnonzero(np.cumsum(covered[:-1]) == 0)
    if not len(loose):
        return
    maps = memory.mappings
    ends = maps.va[loose] + maps.size[loose]
    split = (
        (loose[1:] != loose[:-1] + 1)
        | (maps.owner[loose][1:] != maps.owner[loose][:-1])
        | (maps.va[loose][1:] != ends[:-1])
    )
    firsts = np.concatenate(([0], np.flatnonzero(split) + 1)).tolist()
    for begin, end in zip(firsts, [*firsts[1:], len(loose)], strict=True):
        mm = int(maps.owner[loose[begin]])
        if chosen[mm]:
            yield (
                mm,
                int(maps.va[loose[begin]]) >> 12,
                int(ends[end - 1]) >> 12,
                int(loose[begin]),
                int(loose[end - 1]) + 1,
                -1,
            )


def whole_processes(memory: Memory, chosen: Bools) -> list[Unit]:
    """One unit a process's address space: all its regions in order, an empty page between two."""
    parts: dict[int, list[tuple[int, U64, U64]]] = {}
    for mm, start, end, low, high, _ in _regions(memory, chosen):
        page, frame = expand(memory, low, high)
        keep = (page >= start) & (page < end) & used(memory, frame)
        if keep.any():
            parts.setdefault(mm, []).append((start, page[keep], frame[keep]))
    units = []
    for mm, regions in parts.items():
        regions.sort(key=lambda region: region[0])
        places, base = [], 0
        for _, page, _ in regions:
            places.append((page - page[0]).astype(np.int64) + base)
            base = int(places[-1][-1]) + 2
        frame = np.concatenate([region[2] for region in regions])
        units.append(Unit("process", f"process {memory.pids[mm][0]}", np.concatenate(places), frame, base, mms=[mm]))
    return units


def file_units(memory: Memory, wanted: U64 | None = None) -> list[Unit]:
    """The files of the page cache, each in file order. wanted: only these struct address_space."""
    pages = memory.pages
    keep = used(memory, pages.file_pfn)
    if wanted is not None:
        keep &= among(pages.mapping, wanted)
    frame, mapping, index = pages.file_pfn[keep], pages.mapping[keep], pages.index[keep]
    index = np.minimum(index, np.uint64(1 << 52))
    order = np.lexsort((frame, index, mapping))
    frame, mapping, number = frame[order], mapping[order], index[order].astype(np.int64)
    if not len(mapping):
        return []
    begins = np.concatenate(([True], mapping[1:] != mapping[:-1]))
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(mapping))
    # pages that say they are the same part of a file: all but one are stale; all are scanned
    stale = ~begins & np.concatenate(([False], number[1:] == number[:-1]))
    some = np.logical_or.reduceat(stale, starts).tolist()
    last = number[ends - 1].tolist()
    units = []
    rows = zip(starts.tolist(), ends.tolist(), mapping[starts].tolist(), last, some, strict=True)
    for begin, end, address, final, twice in rows:
        place, pfn, name = number[begin:end], frame[begin:end], f"file mapping {address:#x}"
        if twice:
            odd = stale[begin:end]
            count = int(odd.sum())
            apart = np.arange(0, 2 * count, 2, dtype=np.int64)
            units.append(Unit("files", name, apart, pfn[odd], 2 * count, mapping=address))
            place, pfn = place[~odd], pfn[~odd]
        units.append(Unit("files", name, place, pfn, final + 1, mapping=address))
    return units


def window_units(memory: Memory, kinds: Iterable[Kind]) -> list[Unit]:
    """Kernel memory, free pages and pages that nothing tells: windows of 16 MiB of what is not empty.

    The last page of a window is also the first of the next if they are neighbours. Anonymous pages that no
    process found maps (a process hidden or gone, the swap cache) count as unknown.
    """
    use = memory.pages.use.copy()
    lost = use == ANON
    if lost.any():
        _, frame = expand(memory, 0, len(memory.mappings.va))
        row = memory.pages.position(frame)
        lost[row[row >= 0]] = False
    use[lost] = UNKNOWN
    codes: dict[Kind, int] = {"kernel": KERNEL, "free": FREE, "unknown": UNKNOWN}
    every = memory.pages.pfn()
    units: list[Unit] = []
    for kind in kinds:
        if kind in codes:
            units += _windows(kind, every[(use == codes[kind]) & memory.nonzero])
    return units


def _windows(kind: Kind, frame: U64) -> Iterator[Unit]:
    begin = 0
    while begin < len(frame):
        end = min(begin + WINDOW, len(frame))
        part = frame[begin:end]
        name = f"{kind} memory {int(part[0]) << 12:#x}-{(int(part[-1]) + 1) << 12:#x}"
        yield Unit(kind, name, np.arange(len(part), dtype=np.int64), part, len(part), joined=False)
        overlap = end < len(frame) and end - 1 > begin and frame[end] == frame[end - 1] + np.uint64(1)
        begin = end - 1 if overlap else end
