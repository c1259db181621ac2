# SPDX-License-Identifier: Apache-2.0
"""Raw files in which an offset is not a physical address, and where each range of RAM lies in them.

memory-backend files of QEMU and VMware's .vmem leave out the hole below 4 GiB; LiME's format=raw writes the ranges of
System RAM one after the other; some tools put a header in front; RAM of arm64 machines does not begin at 0. In all of
them address minus offset, the shift, is constant over each range of the machine's map of RAM. The kernel's own shift
is known (memir.symbols.shift), its image holds the map, and the links of the task list tell the rest: each link says
which word must stand at an address, so a shift is proved where the file has that word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from memir.errors import AbsentMemoryError
from memir.image.layout import Range, Segment
from memir.kernel import ram
from memir.symbols.anchors import ADDRESS_MASK
from memir.symbols.shift import matches

if TYPE_CHECKING:
    from memir.image.memory import PhysicalMemory
    from memir.kernel.engine import Kernel

PAGE = 4096
_MAX_LINKS = 1 << 16  # of the task list that are held against a layout
_MAX_HEADER = 1 << 16  # bytes in front of the RAM
_MAX_TAIL = 1 << 20  # bytes behind it: reserved memory at the end, a trailer


@dataclass(frozen=True, slots=True)
class RawLayout:
    """segments: where the RAM lies in the file. words: how that differs from an offset for an address."""

    segments: list[Segment]
    words: str


@dataclass(frozen=True, slots=True)
class _Node:
    """A node of the task list: its physical address, its virtual one, and the node before it, to which it links."""

    pa: int
    va: int
    before: int


def explain(memory: PhysicalMemory, kernel: Kernel, shift: int) -> RawLayout | None:
    """The layout of a raw file whose kernel lies `shift` bytes from where its offset says; None if nothing fits.

    memory: the file as it is, offsets as addresses. kernel: located with `shift` alone, so that only what lies in its
    own range of RAM is sure to be readable.
    """
    known = ram.account(kernel)
    if known is None:
        return None
    ranges = known[1]
    init = kernel.anchors.image_pa(kernel.anchors.init_task)
    own = _range_of(ranges, init)
    if own is None:
        return None
    for exact in (ranges, whole_pages(ranges)):
        joined = _joined(exact, _range_of(exact, init), shift, memory.end)
        if joined is not None and _links(memory, kernel, exact, [item.start - item.offset for item in joined])[1]:
            header = f", {joined[0].offset} bytes in" if joined[0].offset else ""
            return RawLayout(joined, f"the ranges of RAM stand in it one after the other{header}")
    shifts = _by_links(memory, kernel, ranges, own, shift)
    if any(item is not None and item != shift for item in shifts):
        return RawLayout(_split(ranges, shifts, memory.end), "the holes between the ranges of RAM are left out of it")
    if shift == 0:
        return None
    words = f"RAM begins {-shift} bytes in" if shift < 0 else f"its first byte has the address {shift:#x}"
    return RawLayout([Segment(max(shift, 0), memory.end - max(-shift, 0), max(-shift, 0))], words)


def whole_pages(ranges: Sequence[Range]) -> list[Range]:
    """The whole pages of ranges, as tools that read by the page write them."""
    out = []
    for part in ranges:
        low, high = -(-part.start // PAGE) * PAGE, part.end // PAGE * PAGE
        if high > low:
            out.append(Range(low, high - low))
    return out


def links_met(memory: PhysicalMemory, kernel: Kernel) -> int:
    """How many links of the task list hold from its head on, in memory as it is laid out."""
    return _links(memory, kernel, [Range(0, memory.end)], [0])[0]


def _joined(ranges: Sequence[Range], own: int | None, shift: int, size: int) -> list[Segment] | None:
    """The ranges one after the other, if that puts the kernel's own where it is, behind a small header at most."""
    if own is None or len(ranges) < 2:
        return None
    begin = ranges[own].start - shift - sum(part.size for part in ranges[:own])
    if not 0 <= begin <= _MAX_HEADER or size > begin + sum(part.size for part in ranges) + _MAX_TAIL:
        return None
    out = []
    for part in ranges:
        if begin < size:
            out.append(Segment(part.start, min(part.size, size - begin), begin))
        begin += part.size
    return out if any(segment.start - segment.offset != out[0].start - out[0].offset for segment in out) else None


def _by_links(
    memory: PhysicalMemory, kernel: Kernel, ranges: Sequence[Range], own: int, shift: int
) -> list[int | None]:
    """The shift of every range, proved by the task list; a range without a task takes that of a neighbour.

    None: the range is not in the file, as each place that it could have is before the file's first byte, or that of a
    proved range (a file whose beginning was cut off).
    """
    proved = {own: shift}
    node = _head(kernel)
    for _ in range(_MAX_LINKS):
        number = _range_of(ranges, node.pa)
        if number is None:
            break
        if number not in proved:
            candidate = _search(memory, kernel, ranges, node, proved)
            if candidate is None:
                break
            proved[number] = candidate
        following = _next(memory, kernel, node, proved[number])
        if following is None or following.va == _head(kernel).va or len(proved) == len(ranges):
            break
        node = following
    taken = [(ranges[part].start - moved, ranges[part].end - moved) for part, moved in proved.items()]
    out: list[int | None] = []
    for number, part in enumerate(ranges):
        near = sorted(proved, key=lambda other: abs(other - number))
        # an offset cannot be negative: what lies below a moved range was not moved with it
        others = [moved for moved in [*(proved[other] for other in near), 0] if _free(part, moved, taken)]
        out.append(proved.get(number, others[0] if others else None))
    return out


def _free(part: Range, shift: int, taken: Sequence[tuple[int, int]]) -> bool:
    """Whether a range moved by a shift lies in the file, where no proved range does. taken: [low, high) in the file."""
    low, high = part.start - shift, part.end - shift
    return low >= 0 and not any(low < end and start < high for start, end in taken)


def _links(memory: PhysicalMemory, kernel: Kernel, ranges: Sequence[Range], shifts: Sequence[int]) -> tuple[int, bool]:
    """(links that hold from the head of the task list on, whether none was met that does not)."""
    node, met = _head(kernel), 0
    while met < _MAX_LINKS:
        number = _range_of(ranges, node.pa)
        following = _next(memory, kernel, node, shifts[number]) if number is not None else None
        if following is None:
            # what was cut off proves nothing against a layout
            return met, number is not None and node.pa - shifts[number] + 16 > memory.end
        met += 1
        if following.va == _head(kernel).va:
            return met, True
        node = following
    return met, True


def _head(kernel: Kernel) -> _Node:
    va = kernel.anchors.init_task + kernel.types.offset("task_struct", "tasks")
    return _Node(kernel.anchors.image_pa(va), va, 0)


def _next(memory: PhysicalMemory, kernel: Kernel, node: _Node, shift: int) -> _Node | None:
    """The node after this one; None if this one is not there, or does not link back to the one before it."""
    words = _words(memory, node.pa - shift)
    if words is None or (node.before and words[1] != node.before):
        return None
    va = words[0]
    head = _head(kernel)
    pa = head.pa if va == head.va else (va - kernel.space.direct_delta) & ADDRESS_MASK
    return _Node(pa, va, node.va)


def _search(
    memory: PhysicalMemory, kernel: Kernel, ranges: Sequence[Range], node: _Node, proved: dict[int, int]
) -> int | None:
    """The shift of the range that a node lies in: the file is searched for the link back that it must hold.

    A place is believed when the node after it links back to it: in the same range, or in one that is proved.
    """
    own = _range_of(ranges, node.pa)
    for place, _ in matches(memory, re.compile(re.escape(node.before.to_bytes(8, "little")), re.DOTALL)):
        shift = node.pa - (place - 8)
        following = _next(memory, kernel, node, shift)
        if following is None:
            continue
        number = _range_of(ranges, following.pa)
        if number is None or (number != own and number not in proved):
            continue
        if _next(memory, kernel, following, shift if number == own else proved[number]) is not None:
            return shift
    return None


def _split(ranges: Sequence[Range], shifts: Sequence[int | None], size: int) -> list[Segment]:
    """Segments of the ranges, what lies between two ranges of one shift with them; none before the file's start."""
    out: list[Segment] = []
    for part, shift in zip(ranges, shifts, strict=True):
        if shift is None:
            continue
        start = max(part.start, shift)
        length = min(part.end - start, size - (start - shift))
        if length <= 0 or (out and out[-1].start + out[-1].size > start):
            continue
        if out and out[-1].start - out[-1].offset == shift:
            out[-1] = Segment(out[-1].start, start + length - out[-1].start, out[-1].offset)
        else:
            out.append(Segment(start, length, start - shift))
    return out


def _range_of(ranges: Sequence[Range], pa: int) -> int | None:
    return next((number for number, part in enumerate(ranges) if part.start <= pa < part.end), None)


def _words(memory: PhysicalMemory, offset: int) -> tuple[int, int] | None:
    try:
        raw = memory.read(offset, 16) if offset >= 0 else b""
    except AbsentMemoryError:
        return None
    return (int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")) if raw else None
