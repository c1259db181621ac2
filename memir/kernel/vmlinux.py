# SPDX-License-Identifier: Apache-2.0
"""The ELF file of a kernel, vmlinux: its sections, its build id, and where its own addresses stand in it.

Of the relocations nothing is left in sections: arch/x86/tools/relocs.c writes them behind the packed vmlinux, as
handle_relocations (arch/x86/boot/compressed/misc.c) reads them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memir.errors import SymbolsError
from memir.kernel.buildid import gnu_build_id
from memir.kernel.bzimage import KernelFile
from memir.kernel.pagetable import I64

Bytes = NDArray[np.uint8]
_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")  # Elf64_Ehdr
_SHDR = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr
_EM_X86_64, _SHT_NOBITS, _SHF_ALLOC = 62, 8, 2
_MOST_SECTIONS, _MOST_RELOCS = 1 << 12, 64 << 20


@dataclass(frozen=True, slots=True)
class Section:
    """address: as linked, signed. offset: in the file. loaded: part of the kernel's memory, with content."""

    name: str
    address: int
    offset: int
    size: int
    loaded: bool


@dataclass(frozen=True)
class Relocations:
    """Addresses (signed, as linked) of the words that hold one: 32 bits, 32 bits less the shift, 64 bits."""

    words: I64
    inverse: I64
    quads: I64


class Vmlinux:
    """SymbolsError for a file that is not an x86-64 kernel's ELF, or a damaged one."""

    def __init__(self, file: KernelFile) -> None:
        self._file = file
        header = _EHDR.unpack(file.read(0, _EHDR.size))
        ident, machine, place, size, count, names = header[0], header[2], header[6], *header[11:]
        if ident[:6] != b"\x7fELF\x02\x01" or machine != _EM_X86_64:
            raise SymbolsError(f"{file.path}: no x86-64 kernel: only the text of x86-64 kernels is compared")
        if size != _SHDR.size or not names < count <= _MOST_SECTIONS:
            raise SymbolsError(f"{file.path}: an ELF file without sections; give the build's vmlinuz or vmlinux")
        table = list(_SHDR.iter_unpack(file.read(place, count * size)))
        text = file.read(table[names][4], min(table[names][5], 1 << 16))
        self.sections: Mapping[str, Section] = {
            name: Section(name, address - (address >> 63 << 64), offset, length, bool(
                flags & _SHF_ALLOC and kind != _SHT_NOBITS))
            for word, kind, flags, address, offset, length, *_ in table
            if (name := text[word : max(text.find(b"\0", word), word)].decode("ascii", "replace"))
        }  # fmt: skip
        ends = [row[4] + row[5] for row in table if row[1] != _SHT_NOBITS]
        self._end = max(*ends, place + count * size)

    @property
    def build_id(self) -> str | None:
        """In hex; None if it has none."""
        return gnu_build_id(self.content(".notes").tobytes())

    def content(self, name: str) -> Bytes:
        """Of a section; nothing if it is not there."""
        section = self.sections.get(name)
        if section is None or not section.loaded:
            return np.zeros(0, np.uint8)
        return np.frombuffer(self._file.read(section.offset, section.size), np.uint8)

    def between(self, first: int, end: int) -> Bytes:
        """Content of the addresses as linked (signed) first to end, which lie in one section; else nothing."""
        for section in self.sections.values():
            if section.loaded and section.address <= first < end <= section.address + section.size:
                return np.frombuffer(self._file.read(section.offset + first - section.address, end - first), np.uint8)
        return np.zeros(0, np.uint8)

    def relocations(self) -> Relocations | None:
        """What stands behind the sections; None if that is nothing, or no such table."""
        size = (self._file.size - self._end) & ~3
        if not 8 <= size <= _MOST_RELOCS:
            return None
        words = np.frombuffer(self._file.read(self._file.size - size, size), "<i4").astype(np.int64)
        ends = np.flatnonzero(words == 0)
        ends = ends[np.append(np.diff(ends) > 1, True)] if len(ends) else ends  # zeros before the first are padding
        if len(ends) not in (2, 3):
            return None
        groups = np.split(words, ends)[1:]
        if (words[ends[0] :] > 0).any():  # each is the low half of an address of the kernel
            return None
        return Relocations(groups[-1][1:], groups[1][1:] if len(groups) == 3 else words[:0], groups[0][1:])
