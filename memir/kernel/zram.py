# SPDX-License-Identifier: Apache-2.0
"""drivers/block/zram/zram_drv.h: a block device whose pages lie compressed in RAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.image.packed_page import ALGORITHMS, unpack
from memir.kernel import zsmalloc
from memir.kernel.engine import texts
from memir.kernel.module import types_with_module
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.space import u64
from memir.symbols.types import KernelTypes, Member, TypeRef

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

PAGE = 4096
_WORD = TypeRef("int", 8, "unsigned long")
_POINTER = TypeRef("pointer", 8, "pointer")
_PRIORITIES = 4  # ZRAM_MAX_COMPS


class _Linux510:
    """Layout in Linux 5.10, whose modules carry no BTF, with CONFIG_ZRAM_MEMORY_TRACKING as Debian has it [source]."""

    def struct(self, name: str) -> tuple[int, dict[str, Member]] | None:
        return {
            "zram": (400, {"table": Member(0, _POINTER), "comp": Member(16, _POINTER), "disk": Member(24, _POINTER)}),
            "zram_table_entry": (24, {"handle": Member(0, _WORD), "flags": Member(8, _WORD)}),
            "zcomp": (32, {"name": Member(8, _POINTER)}),
        }.get(name)

    def enum(self, name: str) -> dict[str, int] | None:
        flags = {"ZRAM_LOCK": 24, "ZRAM_SAME": 25, "ZRAM_WB": 26, "ZRAM_UNDER_WB": 27, "ZRAM_HUGE": 28}
        return flags if name == "zram_pageflags" else None


@dataclass(frozen=True)
class Slots:
    """Pages of the device. same: all its words are `handle`. size: bytes packed, 0 for a page that holds nothing.

    priority: which compressor packed it. objects: where; there: the page can be unpacked.
    """

    handle: U64
    size: I64
    same: Bools
    priority: I64
    objects: zsmalloc.Objects
    there: Bools


_NEEDS = (("zram", "disk"), ("zram", "table"), ("zram", "comps", "comp"), ("zcomp", "ops", "name"),
          ("zram_table_entry", "handle"), ("zram_table_entry", "attr.flags", "flags"))  # fmt: skip


class Zram:
    """One device. algorithms: names of its compressors by priority, "" for none."""

    def __init__(self, kernel: Kernel, types: KernelTypes, device: int) -> None:
        self._kernel = kernel
        self._types = types
        self._table = int(self._pointers(u64(device), "zram", "table")[0])
        self._flags = types.enum("zram_pageflags") or {}
        self._shift = min(self._flags.values())  # ZRAM_FLAG_SHIFT: the bits below hold the size
        self.algorithms = self._names(device)

    def _pointers(self, address: U64, struct: str, path: str) -> U64:
        place = np.where(address != 0, address + np.uint64(self._types.offset(struct, path)), np.uint64(0))
        return self._kernel.pointers(place)

    def _names(self, device: int) -> list[str]:
        if self._types.has("zram", "comps"):  # 6.2 (7ac07a26dea7): several compressors, one for each priority
            first = device + self._types.offset("zram", "comps")
            comp = self._kernel.pointers(np.uint64(first) + np.arange(_PRIORITIES, dtype=np.uint64) * np.uint64(8))
        else:
            comp = self._pointers(u64(device), "zram", "comp")
        if self._types.has("zcomp", "ops"):  # 6.12 (917a59e81c34): zram's own backends
            place = self._pointers(self._pointers(comp, "zcomp", "ops"), "zcomp_ops", "name")
        else:
            place = self._pointers(comp, "zcomp", "name")
        return [name or "" for name in texts(self._kernel.strings(place, 64))]

    def slots(self, number: I64) -> Slots:
        """Pages by their number on the device, int64[n]; what cannot be read holds nothing."""
        size = self._types.size("zram_table_entry")
        place = np.uint64(self._table) + np.asarray(number, np.int64).astype(np.uint64) * np.uint64(size)
        raw, ok = self._kernel.read_bytes(place, size)
        handle, flags = self._column(raw, "handle"), self._column(raw, self._flag_member())
        flags = np.where(ok, flags, np.uint64(0))
        bytes_ = (flags & np.uint64((1 << self._shift) - 1)).astype(np.int64)
        same = self._bit(flags, "ZRAM_SAME")
        elsewhere = same | self._bit(flags, "ZRAM_WB") | (bytes_ > PAGE)
        packed = np.where(elsewhere | (handle == 0), 0, bytes_)
        first = self._flags.get("ZRAM_COMP_PRIORITY_BIT1")
        priority = np.zeros(len(flags), np.int64)
        if first is not None:
            priority = ((flags >> np.uint64(first)) & np.uint64(3)).astype(np.int64)
        objects = zsmalloc.locate(self._kernel, np.where(packed > 0, handle, np.uint64(0)), packed)
        known = np.array([name in ALGORITHMS for name in self.algorithms] + [False] * _PRIORITIES)
        there = same | (objects.ok & (known[priority] | (packed == PAGE)))
        return Slots(handle, packed, same, priority, objects, there)

    def _flag_member(self) -> str:
        return self._types.first("zram_table_entry", "attr.flags", "flags")

    def _column(self, raw: np.ndarray[tuple[int, int], np.dtype[np.uint8]], name: str) -> U64:
        member = self._types.member("zram_table_entry", name)
        cut = np.ascontiguousarray(raw[:, member.offset : member.offset + member.type.size])
        return cut.view(f"<u{member.type.size}")[:, 0].astype(np.uint64)

    def _bit(self, flags: U64, name: str) -> Bools:
        number = self._flags.get(name)
        if number is None:
            return np.zeros(len(flags), bool)
        answer: Bools = ((flags >> np.uint64(number)) & np.uint64(1)) != 0
        return answer

    def there(self, number: I64) -> Bools:
        """Which pages of the device can be unpacked from RAM."""
        return self.slots(number).there

    def pages(self, number: I64) -> list[bytes | None]:
        """4,096 bytes of each page, None for one that is not there or, which is a gap, does not unpack."""
        slots = self.slots(number)
        answer: list[bytes | None] = []
        for row, there in enumerate(slots.there.tolist()):
            try:
                answer.append(self._page(slots, row) if there else None)
            except ValueError as error:
                self._kernel.gaps.add("zram", f"page {int(number[row])}", f"does not unpack: {error}")
                answer.append(None)
        return answer

    def _page(self, slots: Slots, row: int) -> bytes | None:
        """The 4,096 bytes of one page, None if it is not there; ValueError if its stream is damaged."""
        if slots.same[row]:
            return int(slots.handle[row]).to_bytes(8, "little") * (PAGE // 8)
        size = int(slots.size[row])
        data = zsmalloc.content(self._kernel, slots.objects, row, size) if size else None
        if data is None or size == PAGE:
            return data
        return unpack(self.algorithms[int(slots.priority[row])], data)


def device(kernel: Kernel, disk: int) -> Zram | None:
    """The zram device of a struct gendisk; None, and a gap, where its layout is not known."""
    private = kernel.pointer(u64(disk), "gendisk", "private_data")
    operations = kernel.pointer(u64(disk), "gendisk", "fops")
    owner = kernel.pointer(operations, "block_device_operations", "owner", gap=False)
    types: KernelTypes | None = kernel.types
    if not kernel.types.exists("zram_table_entry"):
        types = types_with_module(kernel, owner, _NEEDS) if owner[0] else None
        if types is None and not kernel.types.has("module", "btf_data"):  # module BTF came with 5.11 (36e68442d1af)
            types = kernel.types.with_source(_Linux510())
    if types is None or not types.exists("zram_table_entry") or not types.enum("zram_pageflags"):
        kernel.gaps.add("zram", f"{disk:#x}", "layout of zram not known: its pages are not read")
        return None
    back = kernel.pointers(private + np.uint64(types.offset("zram", "disk")))
    if int(back[0]) != disk:
        kernel.gaps.add("zram", f"{disk:#x}", "the device does not name its disk: its pages are not read")
        return None
    return Zram(kernel, types, int(private[0]))
