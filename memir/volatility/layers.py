# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""volatility3 layers over memir's view of RAM: the bytes themselves, and the address spaces that it lacks.

volatility3 2.28 has no layer for 5-level page tables nor for arm64 and shows empty tables for such images.
Those here are its own Intel layer with the walk replaced, because its plugins and symbol code test for that
class.
"""

from __future__ import annotations

import bisect
import functools
import struct
from collections.abc import Iterable
from typing import Any

from volatility3.framework import exceptions, interfaces
from volatility3.framework.configuration import requirements
from volatility3.framework.layers import intel

from memir.errors import AbsentMemoryError
from memir.image.memory import PhysicalMemory
from memir.symbols.anchors import Anchors

_PAGE = 4096
_PAGES = 1 << 13  # of RAM kept, 32 MiB
_TABLES = 512  # of page tables kept for an address space
_TRANSLATIONS = 1 << 16  # page table entries that stay translated: 256 MiB of virtual memory


class MemirLayer(interfaces.layers.DataLayerInterface):  # type: ignore[misc]  # volatility3 has no types
    """Physical memory of an image, whatever its format; absent memory is invalid, never zeros."""

    def __init__(
        self, context: Any, config_path: str, name: str, memory: PhysicalMemory, anchors: Anchors | None = None
    ) -> None:
        """anchors: the kernel in it, for plugins that use memir's own engine."""
        super().__init__(context, config_path, name, {"os": "Unknown"})
        self.image, self.anchors = memory, anchors
        self._image = memory
        self._starts = [part.start for part in memory.ranges]
        self._ends = [part.end for part in memory.ranges]
        self._page = functools.lru_cache(_PAGES)(self._read_page)

    @property
    def minimum_address(self) -> int:
        """First physical address that is present."""
        return self._starts[0] if self._starts else 0

    @property
    def maximum_address(self) -> int:
        """Last physical address that is present."""
        return max(self._ends, default=1) - 1

    def is_valid(self, offset: int, length: int = 1) -> bool:
        """Whether all bytes lie in one range of RAM; only reading finds pages that are missing inside."""
        row = bisect.bisect_right(self._starts, offset) - 1
        return row >= 0 and offset + length <= self._ends[row]

    def read(self, offset: int, length: int, pad: bool = False) -> bytes:
        """Bytes of RAM; InvalidAddressException where some are absent, zeros for them with `pad`."""
        number, place = divmod(offset, _PAGE)
        if place + length <= _PAGE and (page := self._page(number)) is not None:
            return page[place : place + length]
        if not pad:
            try:
                return self._image.read(offset, length)
            except AbsentMemoryError:
                message = f"physical memory at {offset:#x} ({length} bytes) is not in the image"
                raise exceptions.InvalidAddressException(self.name, offset, message) from None
        data, _ = self._image.read_partial(offset, length)
        return data

    def _read_page(self, number: int) -> bytes | None:
        try:
            return self._image.read(number * _PAGE, _PAGE)
        except AbsentMemoryError:
            return None

    def write(self, offset: int, data: bytes) -> None:
        """Evidence is never written to."""
        raise NotImplementedError("the image is evidence and is not written to")

    def _scan_iterator(self, scanner: Any, sections: Iterable[tuple[int, int]]) -> Iterable[Any]:
        """Blocks to scan: what is present of the sections, as volatility3 takes a layer to have no holes."""
        present = []
        for start, length in sections:
            for low, high in zip(self._starts, self._ends, strict=True):
                first, last = max(start, low), min(start + length, high)
                if first < last:
                    present.append((first, last - first))
        return super()._scan_iterator(scanner, present)  # type: ignore[no-any-return]  # no types


class KernelPages(intel.LinuxIntel32e):  # type: ignore[misc]  # volatility3 has no types
    """What memir's layers share: the place of the kernel's struct pages, and caches of one layer's own."""

    def __init__(self, context: Any, config_path: str, name: str, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(context, config_path, name, metadata)
        # volatility3's caches belong to the class, so that layers push each other's entries out and are
        # never freed.
        self._translate_entry = functools.lru_cache(_TRANSLATIONS)(functools.partial(type(self)._walk, self))
        self._get_valid_table = functools.lru_cache(_TABLES)(functools.partial(type(self)._table, self))

    @classmethod
    def get_requirements(cls) -> list[Any]:
        """What a copy of the layer for a process must be given again."""
        return [
            *super().get_requirements(),
            requirements.IntRequirement(name="vmemmap", description="address of physical page 0's struct page"),
        ]

    def _walk(self, address: int) -> tuple[int, int]:
        entry: tuple[int, int] = intel.Intel._translate_entry.__wrapped__(self, address)
        return entry

    def _table(self, base: int) -> bytes | None:
        table: bytes | None = intel.Intel._get_valid_table.__wrapped__(self, base)
        return table


class Intel4(KernelPages):
    """x86-64 with 4-level page tables: volatility3's own layer."""


class Intel5(KernelPages):
    """x86-64 with 5-level page tables (LA57), labelled Intel64 like those with four, as plugins demand."""

    _maxvirtaddr = 57
    _structure = [("page map layer 5", 9, False), *intel.Intel32e._structure]  # noqa: RUF012  volatility3's own way


class AArch64(KernelPages):
    """arm64 with 4 KiB pages: bit 55 chooses the kernel's table or the process's, a tag above it falls away.

    The label stays Intel64, which plugins demand that want any 64-bit kernel. With LPA2 addresses have 52 bits, two
    of them in a descriptor's bits 9:8. Source: Arm ARM D8 (VMSAv8-64).
    """

    _maxvirtaddr = 56
    _maxphyaddr = 52

    @classmethod
    def get_requirements(cls) -> list[Any]:
        """What a copy of the layer for a process must be given again."""
        return [
            *super().get_requirements(),
            requirements.IntRequirement(name="levels", description="levels of page tables"),
            requirements.IntRequirement(name="kernel_root", description="physical address of TTBR1's table"),
            requirements.BooleanRequirement(name="lpa2", description="52-bit output addresses"),
        ]

    def __init__(self, context: Any, config_path: str, name: str, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(context, config_path, name, metadata)
        self._levels = int(self.config["levels"])
        self._bits = 52 if self._levels == 5 else 12 + 9 * self._levels
        user, kernel = int(self._page_map_offset), int(self.config["kernel_root"])
        self._roots = (0 if user == kernel else user, kernel)  # the kernel's own layer has no user half
        self._lpa2 = bool(self.config["lpa2"])

    def _output(self, descriptor: int) -> int:
        if not self._lpa2:
            return descriptor & 0x0000_FFFF_FFFF_F000
        return descriptor & 0x0003_FFFF_FFFF_F000 | (descriptor >> 8 & 3) << 50

    def _walk(self, address: int) -> tuple[int, int]:
        """(descriptor, highest bit of the offset in the page or block) of a page's address."""
        table, entry, shift = self._roots[address >> 55 & 1], 0, self._bits
        if address >> self._bits not in (0, (1 << 56 - self._bits) - 1) or not table:
            raise exceptions.PagedInvalidAddressException(
                self.name, address, shift, entry, f"no page table covers {address:#x}"
            )
        for level in range(self._levels - 1, -1, -1):
            shift = 12 + 9 * level
            # the fifth level has 16 entries in a table that need not be a page
            index = address >> shift & (15 if level == 4 else 511)
            page = self._get_valid_table(table & ~0xFFF)
            place = (table & 0xFFF) + 8 * index
            entry = struct.unpack_from("<Q", page, place)[0] if page and place < len(page) else 0
            kind = entry & 3
            if kind == 3:
                if level == 0:
                    return entry, 11
                table = self._output(entry)
            elif kind == 1 and level in (1, 2):
                return entry, shift - 1
            else:
                break
        raise exceptions.PagedInvalidAddressException(
            self.name,
            address,
            shift,
            entry,
            f"no page at {address:#x}: descriptor {entry:#x} at level {level}",
        )

    def _table(self, base: int) -> bytes | None:
        try:
            page: bytes = self._context.layers.read(self._base_layer, base, 4096)
        except exceptions.InvalidAddressException:
            return None
        return page

    def _translate(self, offset: int) -> tuple[int, int, str]:
        descriptor, position = self._translate_entry(offset & self.address_mask & ~0xFFF)
        low = (1 << position + 1) - 1
        return self._output(descriptor) & ~low | offset & low, low + 1, self._base_layer

    def canonicalize(self, addr: int) -> int:
        """The address with the bits above 55 as the processor ignores or sets them."""
        return addr | 0xFF << 56 if addr >> 55 & 1 else addr & (1 << 55) - 1

    def decanonicalize(self, addr: int) -> int:
        """The address as the layer counts, in 56 bits."""
        return addr & (1 << 56) - 1

    @staticmethod
    def _page_is_dirty(entry: int) -> bool:
        # bit 7: read-only; bit 51 (DBM): the processor clears that on the first write
        return not entry & 1 << 7
