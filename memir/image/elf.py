# SPDX-License-Identifier: Apache-2.0
"""ELF64 core files: QEMU's dump-guest-memory, copies of /proc/kcore, makedumpfile -E. See elf(5).

Only e_phoff and e_phnum are trusted: QEMU's arm64 cores have an e_ehsize of 8, section headers before the program
headers and PT_LOADs at odd offsets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from construct import Array, Bytes, Const, Int16ul, Int32ul, Int64ul, Struct

from memir.errors import ImageFormatError, TruncatedImageError
from memir.image.layout import MAX_PHYSICAL, Layout, Segment, append
from memir.image.lime import truncated
from memir.image.source import Source, read

EHDR = Struct(
    "magic" / Const(b"\x7fELF"), "elf_class" / Bytes(1), "data" / Bytes(1), "rest" / Bytes(10),
    "e_type" / Int16ul, "e_machine" / Int16ul, "e_version" / Int32ul, "e_entry" / Int64ul,
    "e_phoff" / Int64ul, "e_shoff" / Int64ul, "e_flags" / Int32ul, "e_ehsize" / Int16ul,
    "e_phentsize" / Int16ul, "e_phnum" / Int16ul, "e_shentsize" / Int16ul, "e_shnum" / Int16ul,
    "e_shstrndx" / Int16ul,
)  # fmt: skip
PHDR = Struct(
    "p_type" / Int32ul, "p_flags" / Int32ul, "p_offset" / Int64ul, "p_vaddr" / Int64ul, "p_paddr" / Int64ul,
    "p_filesz" / Int64ul, "p_memsz" / Int64ul, "p_align" / Int64ul,
)  # fmt: skip
NHDR = Struct("n_namesz" / Int32ul, "n_descsz" / Int32ul, "n_type" / Int32ul)
_SHDR_INFO = Struct("head" / Bytes(44), "sh_info" / Int32ul)
_CORE, _LOAD, _NOTE = 4, 1, 4
_PN_XNUM = 0xFFFF
_MAX_HEADERS = 1 << 16  # /proc/kcore and makedumpfile write some hundred at the most
_MAX_NOTES = 1 << 24  # bytes, all together: two notes for each of 4,096 processors are 4 MiB
_MAX_NOTE_COUNT = 1 << 14  # one or two a processor: twice Linux's most, 8,192
_NOT_PHYSICAL = 2**64 - 1


@dataclass(frozen=True, slots=True)
class _Load:
    """A PT_LOAD with bytes in the file."""

    start: int
    size: int
    offset: int
    virtual: int

    @property
    def end(self) -> int:
        return self.start + self.size


def read_layout(source: Source, allow_truncated: bool) -> Layout:
    """The layout of an ELF core. PT_LOADs that say no physical address (kcore's -1) are left out."""
    if source.size < EHDR.sizeof():
        raise TruncatedImageError(f"{source.name}: {source.size} bytes: the ELF header is cut")
    header = EHDR.parse(read(source, 0, EHDR.sizeof()))
    if header.elf_class != b"\x02" or header.data != b"\x01":
        raise ImageFormatError(f"{source.name}: an ELF file, but not 64-bit little-endian")
    if header.e_type != _CORE:
        raise ImageFormatError(
            f"{source.name}: an ELF file of type {header.e_type}, not a core: a program is not an image of RAM"
        )
    entries = _program_headers(source, header)
    notes = _notes(source, [(entry.p_offset, entry.p_filesz) for entry in entries if entry.p_type == _NOTE])
    loads = [
        _Load(entry.p_paddr, entry.p_filesz, entry.p_offset, entry.p_vaddr)
        for entry in entries
        if entry.p_type == _LOAD and entry.p_filesz and entry.p_paddr != _NOT_PHYSICAL
    ]
    segments, missing = _segments(source, loads, allow_truncated)
    if not segments:
        raise ImageFormatError(
            f"{source.name}: an ELF core without physical memory in it: a process's core, not a node's RAM"
        )
    return Layout("ELF core", segments, source, source, missing=missing, notes=notes)


def _program_headers(source: Source, header: Any) -> list[Any]:
    count = int(header.e_phnum)
    if count == _PN_XNUM:  # too small a field: section 0 says it
        if header.e_shoff + _SHDR_INFO.sizeof() > source.size:
            raise TruncatedImageError(f"{source.name}: section header at offset {header.e_shoff:#x} is not there")
        count = int(_SHDR_INFO.parse(read(source, header.e_shoff, _SHDR_INFO.sizeof())).sh_info)
    if header.e_phentsize not in (0, PHDR.sizeof()) or count > _MAX_HEADERS:
        raise ImageFormatError(
            f"{source.name}: {count} program headers of {header.e_phentsize} bytes at offset {header.e_phoff:#x}"
        )
    size = count * PHDR.sizeof()
    if header.e_phoff + size > source.size:
        raise TruncatedImageError(
            f"{source.name}: {count} program headers at offset {header.e_phoff:#x} are beyond the end of the file "
            f"({source.size} bytes)"
        )
    return list(Array(count, PHDR).parse(read(source, header.e_phoff, size)))


def _segments(source: Source, loads: list[_Load], allow_truncated: bool) -> tuple[list[Segment], int]:
    segments: list[Segment] = []
    last: _Load | None = None  # of those taken, the one that ends last
    missing = 0
    for part in sorted(loads, key=lambda load: (load.start, -load.size, load.offset)):
        if part.end > MAX_PHYSICAL:
            raise ImageFormatError(
                f"{source.name}: PT_LOAD at offset {part.offset:#x} has the absurd range {part.start:#x} + "
                f"{part.size:#x}"
            )
        start = part.start
        if last and start < last.end:
            # kcore and dump-guest-memory -p map some memory twice, at different virtual addresses
            if part.virtual == last.virtual and (part.start, part.size) != (last.start, last.size):
                raise ImageFormatError(
                    f"{source.name}: PT_LOAD {start:#x}-{part.end - 1:#x} (offset {part.offset:#x}) overlaps "
                    f"{last.start:#x}-{last.end - 1:#x} (offset {last.offset:#x})"
                )
            start = last.end
            if start >= part.end:
                continue
        last = part
        offset, size = part.offset + start - part.start, part.end - start
        there = max(0, min(size, source.size - offset))
        if there < size:
            if not allow_truncated:
                raise truncated(source, offset, size - there)
            missing += size - there
        append(segments, Segment(start, there, offset), source.name)
    return segments, missing


def _notes(source: Source, places: list[tuple[int, int]]) -> dict[str, bytes]:
    """Notes by name (VMCOREINFO, QEMU, CORE); the first of a name is kept. Damaged ones end their segment."""
    notes: dict[str, bytes] = {}
    left, count = _MAX_NOTES, 0
    for offset, size in places:
        try:
            raw = read(source, offset, min(size, left))
        except TruncatedImageError:
            continue
        left -= len(raw)
        cursor = 0
        while cursor + NHDR.sizeof() <= len(raw) and count < _MAX_NOTE_COUNT:
            head = NHDR.parse(raw[cursor : cursor + NHDR.sizeof()])
            name_at = cursor + NHDR.sizeof()
            data_at = name_at + (head.n_namesz + 3 & ~3)
            cursor = data_at + (head.n_descsz + 3 & ~3)
            if cursor > len(raw):
                break
            count += 1
            name = raw[name_at : name_at + head.n_namesz].rstrip(b"\0").decode("ascii", "replace")
            notes.setdefault(name, raw[data_at : data_at + head.n_descsz])
    return notes
