# SPDX-License-Identifier: Apache-2.0
"""include/linux/ioport.h: the tree of physical addresses that /proc/iomem prints, and System RAM in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memir.image.layout import MAX_PHYSICAL, Range
from memir.kernel.space import u64
from memir.symbols.search import image_span

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

IORESOURCE_MEM = 0x200
IORESOURCE_SYSRAM = 0x0100_0000  # 4.6 (782b86641e5d): before, System RAM was told by its name alone
_ROOT_NAME = b"\0PCI mem\0"  # of iomem_resource, in kernel/resource.c
_READ = "ioport.system_ram"
_MAX_RESOURCES = 1 << 14  # a machine with hundreds of devices has some thousand


def system_ram(kernel: Kernel) -> list[Range] | None:
    """Ranges of System RAM of iomem_resource, ascending; None if the tree is not found or cannot be read to its end.

    What lies inside System RAM (Kernel code, Crash kernel) carries the same flag and is not followed. Read once.
    """
    if _READ not in kernel.read_once:
        kernel.read_once[_READ] = _system_ram(kernel)
    ranges: list[Range] | None = kernel.read_once[_READ]
    return None if ranges is None else list(ranges)


def _system_ram(kernel: Kernel) -> list[Range] | None:
    root = _root(kernel)
    if root is None or not kernel.types.exists("resource"):
        return None
    ranges: list[Range] = []
    met: set[int] = {root}
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        resource, whole = _field(kernel, parent, "child")
        while whole and resource:
            if resource in met or len(met) > _MAX_RESOURCES:
                return None
            met.add(resource)
            flags, known = _field(kernel, resource, "flags")
            start, first_known = _field(kernel, resource, "start")
            end, end_known = _field(kernel, resource, "end")
            if not (known and first_known and end_known) or end < start or end >= MAX_PHYSICAL:
                return None
            if flags & IORESOURCE_SYSRAM:
                ranges.append(Range(start, end - start + 1))
            else:
                waiting.append(resource)
            resource, whole = _field(kernel, resource, "sibling")
        if not whole:
            return None
    return sorted(ranges, key=lambda part: part.start) or None


def _field(kernel: Kernel, address: int, member: str) -> tuple[int, bool]:
    values, read = kernel.try_read(u64(address), "resource", member)
    return int(values[0]), bool(read[0])


def _root(kernel: Kernel) -> int | None:
    """Virtual address of iomem_resource; where kallsyms has no data (KALLSYMS_ALL off), by its name and flags."""
    named = kernel.symbols.get("iomem_resource")
    if named is not None or not kernel.types.exists("resource"):
        return named
    low, span = image_span(kernel.memory, kernel.anchors.image_pa(kernel.anchors.init_task))
    low = max(low - (64 << 20), 0)  # the name is in read-only data, which lies before the first task
    raw = kernel.memory.read_partial(low, (64 << 20) + len(span))[0]
    name, flags = kernel.types.offset("resource", "name"), kernel.types.offset("resource", "flags")
    text = raw.find(_ROOT_NAME)
    while text >= 0:
        pointer = (low + text + 1 + kernel.anchors.image_delta) & (2**64 - 1)
        place = raw.find(pointer.to_bytes(8, "little"))
        while place >= 0:
            here = place - name
            if here >= 0 and int.from_bytes(raw[here + flags : here + flags + 8], "little") == IORESOURCE_MEM:
                return (low + here + kernel.anchors.image_delta) & (2**64 - 1)
            place = raw.find(pointer.to_bytes(8, "little"), place + 1)
        text = raw.find(_ROOT_NAME, text + 1)
    return None
