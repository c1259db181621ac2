# SPDX-License-Identifier: Apache-2.0
"""Samples as raw bytes, cut and rearranged as tools lay RAM out in files."""

from __future__ import annotations

import functools
import struct
from pathlib import Path

import numpy as np

from memir.kernel.engine import Kernel
from memir.symbols.locate import locate
from tests.images import case

X86, ARM = "s-6.1-small", "arm64-6.12-small-lpa2"
X86_RAM = [(0x1000, 0x9FC00), (0x100000, 0xBFE0000)]
"""[first, end) of System RAM as /proc/iomem of the machine has it: QEMU's map for 192 MiB."""


@functools.lru_cache(maxsize=2)
def kernel(name: str) -> Kernel:
    memory = case(name).open()
    return Kernel(memory, locate(memory))


@functools.lru_cache(maxsize=1)
def raw(name: str) -> bytes:
    """All of a sample's RAM from address 0, or from its first range for arm64."""
    memory = kernel(name).memory
    return memory.read(memory.ranges[0].start, memory.ranges[0].size)


def put(folder: Path, data: bytes) -> Path:
    path = folder / "image"
    path.write_bytes(data)
    return path


HOLE = (0x4000000, 0x7000000)
"""[first, end) of free memory of X86, zeros all: what stands in for the hole below 4 GiB."""


def with_hole() -> bytes:
    """X86 as a machine whose RAM has HOLE as a hole: its maps say so, and nothing lies there."""
    whole, data = kernel(X86), bytearray(raw(X86))
    types = whole.types
    assert not any(data[HOLE[0] : HOLE[1]])
    entries = [(0, 0x9FC00, 1), (0x100000, HOLE[0] - 0x100000, 1), (HOLE[1], X86_RAM[1][1] - HOLE[1], 1)]
    table = b"".join(struct.pack("<QQI", *entry) for entry in entries)
    params = whole.anchors.image_pa(whole.symbols["boot_params"])
    at = params + types.offset("boot_params", "e820_table")
    data[at : at + len(table)] = table
    data[params + types.offset("boot_params", "e820_entries")] = len(entries)
    pointer = whole.pointers(np.array([whole.symbols["e820_table"]], np.uint64))
    at = int(whole.space.physical(pointer)[0][0])
    data[at : at + 4] = struct.pack("<I", len(entries))
    at += types.offset("e820_table", "entries")
    data[at : at + len(table)] = table
    root = whole.anchors.image_pa(whole.symbols["iomem_resource"]) + types.offset("resource", "child")
    data[root : root + 8] = bytes(8)
    return bytes(data)
