# SPDX-License-Identifier: Apache-2.0
"""A kernel of a few pages, for structures that no real kernel would make."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from memir.image.memory import PhysicalMemory, Range
from memir.kernel.engine import Kernel
from memir.symbols.anchors import Anchors
from memir.symbols.table import Symbols
from memir.symbols.types import KernelTypes, Member, TypeRef

DIRECT = 0xFFFF_8880_0000_0000
INIT = DIRECT + 0x10_0000
POINTER = TypeRef("pointer", 8, "pointer")
BYTE = TypeRef("int", 1, "unsigned char")
INT = TypeRef("int", 4, "int", signed=True)
LONG = TypeRef("int", 8, "unsigned long")


def array(element: TypeRef, count: int) -> TypeRef:
    return TypeRef("array", element.size * count, "array", count=count, element=element)


STRUCTS: dict[str, tuple[int, dict[str, Member]]] = {
    "task_struct": (64, {"tasks": Member(16, LONG)}),
    "page": (64, {"flags": Member(0, LONG)}),
    "xa_node": (576, {"shift": Member(0, BYTE), "slots": Member(40, array(POINTER, 64))}),
    "rb_node": (24, {"rb_right": Member(8, POINTER), "rb_left": Member(16, POINTER)}),
    "kernfs_node": (64, {"__parent": Member(8, POINTER), "name": Member(16, POINTER)}),
}


class Types:
    def struct(self, name: str) -> tuple[int, dict[str, Member]] | None:
        return STRUCTS.get(name)

    def enum(self, name: str) -> dict[str, int] | None:
        del name
        return None


def fake_kernel(words: Mapping[int, int | bytes], size: int = 4 << 20) -> Kernel:
    """words: content by offset into the direct map, an integer as a 64-bit word. The rest is zeros.

    The first task, its page tables (one table of 1 GiB pages) and the second task lie behind 1 MiB.
    """
    data = bytearray(size)

    def put(offset: int, value: int | bytes) -> None:
        raw = value if isinstance(value, bytes) else struct.pack("<Q", value)
        data[offset : offset + len(raw)] = raw

    init, second, top, next_table = 0x10_0000, 0x10_1000, 0x10_2000, 0x10_3000
    put(init + 16, DIRECT + second + 16)
    put(init + 24, DIRECT + second + 16)
    put(second + 16, INIT + 16)
    put(second + 24, INIT + 16)
    put(top + 8 * ((DIRECT >> 39) & 511), next_table | 3)
    put(next_table + 8 * ((DIRECT >> 30) & 511), 0x83)
    put(0x10_4000, 0xFFFF_EA00_0000_0000)
    for offset, value in words.items():
        put(offset, value)
    raw = bytes(data)
    memory = PhysicalMemory.from_reader([Range(0, size)], lambda pa, count: raw[pa : pa + count], "fake", "raw")
    symbols = Symbols.from_pairs(
        {"swapper_pg_dir": DIRECT + top, "vmemmap_base": DIRECT + 0x10_4000}.items(), "made up"
    )
    anchors = Anchors("x86_64", "0.0", "", None, DIRECT, 0, INIT, symbols, KernelTypes(Types()), None)
    return Kernel(memory, anchors)


def u64(*values: int) -> Any:
    return np.array(values, np.uint64)
