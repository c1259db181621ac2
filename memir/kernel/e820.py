# SPDX-License-Identifier: Apache-2.0
"""arch/x86/include/asm/e820/types.h: the machine's map of physical memory, as the kernel and as the firmware has it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from memir.image.layout import MAX_PHYSICAL, Range
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

E820_TYPE_RAM, E820_TYPE_RESERVED_KERN = 1, 128  # the second is RAM that holds setup_data; /proc/iomem calls it RAM
_ENTRY = np.dtype([("addr", "<u8"), ("size", "<u8"), ("type", "<u4")])  # packed: 20 bytes in both tables
_MAX_ENTRIES = 3200  # E820_MAX_ENTRIES with 1,024 NUMA nodes; the kernel's types tell the real one
_FIRMWARE_ENTRIES = 128  # E820_MAX_ENTRIES_ZEROPAGE


def kernel_ram(kernel: Kernel) -> list[Range] | None:
    """RAM in e820_table, ascending: after `mem=`, `memmap=` and the kernel's own corrections. None if not readable."""
    pointer = kernel.symbols.get("e820_table")
    if pointer is None or not kernel.types.exists("e820_table"):
        return None
    table, read = kernel.try_pointers(u64(pointer))
    if not read[0]:
        return None
    count, read = kernel.try_read(table, "e820_table", "nr_entries")
    if not read[0]:
        return None
    entries = table + np.uint64(kernel.types.offset("e820_table", "entries"))
    return _ranges(kernel, int(entries[0]), int(count[0]), _MAX_ENTRIES)


def firmware_ram(kernel: Kernel) -> list[Range] | None:
    """RAM in boot_params.e820_table, ascending: what the firmware handed over. It lies in the kernel's own image.

    None if it is not readable, or holds as many entries as the boot protocol can carry (the rest is elsewhere then).
    """
    params = kernel.symbols.get("boot_params")
    if params is None or not kernel.types.has("boot_params", "e820_table"):
        return None
    count, read = kernel.try_read(u64(params), "boot_params", "e820_entries")
    if not read[0] or count[0] >= _FIRMWARE_ENTRIES:
        return None
    table = params + kernel.types.offset("boot_params", "e820_table")
    return _ranges(kernel, table, int(count[0]), _FIRMWARE_ENTRIES)


def _ranges(kernel: Kernel, address: int, count: int, limit: int) -> list[Range] | None:
    if not 0 < count <= limit:
        return None
    raw, read = kernel.read_bytes(u64(address), count * _ENTRY.itemsize)
    if not read[0]:
        return None
    entries = raw[0].view(_ENTRY)
    kind = entries["type"]
    rows = np.flatnonzero((kind == E820_TYPE_RAM) | (kind == E820_TYPE_RESERVED_KERN))
    ranges = [Range(int(entries["addr"][row]), int(entries["size"][row])) for row in rows]
    ranges = sorted((part for part in ranges if part.size), key=lambda part: part.start)
    if not ranges or any(part.end > MAX_PHYSICAL for part in ranges):
        return None
    if any(before.end > after.start for before, after in itertools.pairwise(ranges)):
        return None
    return ranges
