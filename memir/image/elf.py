"""ELF64 core files: QEMU's dump-guest-memory, copies of /proc/kcore, makedumpfile -E. See elf(5).

Only e_phoff and e_phnum are trusted: QEMU's arm64 cores have an e_ehsize of 8, section headers before the program
headers and PT_LOADs at odd offsets.
"""

from __future__ import annotations

from construct import Array, Bytes, Const, ConstructError, Int16ul, Int32ul, Int64ul, Struct

from memir.errors import ImageFormatError, TruncatedImageError
from memir.image.lime import MAX_PHYSICAL, truncated
from memir.image.memory import Layout, Segment
from memir.image.source import Source, read

EHDR = Struct(
    "magic" / Const(b"\x7fELF"), "elf_class" / Bytes(1), "data" / Bytes(1), "rest" / Bytes(10),
    "e_type" / Int16ul, "e_machine" / Int16ul, "e_version" / Int32ul, "e_entry" / Int64ul, "e_phoff" / Int64ul,
    "e_shoff" / Int64ul, "e_flags" / Int32ul, "e_ehsize" / Int16ul, "e_phentsize" / Int16ul, "e_phnum" / Int16ul,
    "e_shentsize" / Int16ul, "e_shnum" / Int16ul, "e_shstrndx" / Int16ul,
)  # fmt: skip
PHDR = Struct(
    "p_type" / Int32ul, "p_flags" / Int32ul, "p_offset" / Int64ul, "p_vaddr" / Int64ul, "p_paddr" / Int64ul,
    "p_filesz" / Int64ul, "p_memsz" / Int64ul, "p_align" / Int64ul,
)  # fmt: skip
NHDR = Struct("n_namesz" / Int32ul, "n_descsz" / Int32ul, "n_type" / Int32ul)
_SHDR_INFO = Struct("head" / Bytes(44), "sh_info" / Int32ul)
_CORE, _LOAD, _NOTE = 4, 1, 4
_PN_XNUM = 0xFFFF
_MAX_HEADERS = 1 << 16
_MAX_NOTES = 1 << 24
_NOT_PHYSICAL = 2**64 - 1


def read_layout(source: Source, allow_truncated: bool) -> Layout:
    """The layout of an ELF core. PT_LOADs that say no physical address (kcore's -1) are left out."""
    try:
        header = EHDR.parse(read(source, 0, EHDR.sizeof()))
    except ConstructError as error:
        raise ImageFormatError(f"{source.name}: not an ELF header") from error
    if header.elf_class != b"\x02" or header.data != b"\x01":
        raise ImageFormatError(f"{source.name}: an ELF file, but not 64-bit little-endian")
    if header.e_type != _CORE:
        raise ImageFormatError(f"{source.name}: an ELF file of type {header.e_type}, not a core: a program is not an image of RAM")
    count = _header_count(source, header)
    if header.e_phentsize not in (0, PHDR.sizeof()) or count > _MAX_HEADERS:
        raise ImageFormatError(f"{source.name}: {count} program headers of {header.e_phentsize} bytes at offset {header.e_phoff:#x}")
    entries = Array(count, PHDR).parse(read(source, header.e_phoff, count * PHDR.sizeof()))
    notes: dict[str, bytes] = {}
    for one in entries:
        if one.p_type == _NOTE:
            notes |= _notes(source, one.p_offset, one.p_filesz)
    loads = [one for one in entries if one.p_type == _LOAD and one.p_filesz and one.p_paddr != _NOT_PHYSICAL]
    segments, missing = _segments(source, loads, allow_truncated)
    return Layout("ELF core", segments, source, source, missing=missing, notes=notes)


def _header_count(source: Source, header: object) -> int:
    """e_phnum, or where that is too small a field, section 0's sh_info (PN_XNUM)."""
    count = int(header.e_phnum)  # type: ignore[attr-defined]  # construct's containers are untyped
    if count != _PN_XNUM:
        return count
    section = _SHDR_INFO.parse(read(source, int(header.e_shoff), _SHDR_INFO.sizeof()))  # type: ignore[attr-defined]  # as above
    return int(section.sh_info)


def _segments(source: Source, loads: list[object], allow_truncated: bool) -> tuple[list[Segment], int]:
    ordered = sorted(loads, key=lambda one: int(one.p_paddr))  # type: ignore[attr-defined]  # construct's containers
    segments: list[Segment] = []
    missing = 0
    for one in ordered:
        start, size, offset = int(one.p_paddr), int(one.p_filesz), int(one.p_offset)  # type: ignore[attr-defined]  # as above
        if start + size > MAX_PHYSICAL or size > MAX_PHYSICAL:
            raise ImageFormatError(f"{source.name}: PT_LOAD at offset {offset:#x} has the absurd range {start:#x} + {size:#x}")
        last = segments[-1] if segments else None
        if last and start < last.start + last.size:
            if (start, size) == (last.start, last.size):
                continue  # kcore maps some memory twice, at different virtual addresses
            raise ImageFormatError(
                f"{source.name}: PT_LOAD {start:#x}-{start + size - 1:#x} (offset {offset:#x}) overlaps "
                f"{last.start:#x}-{last.start + last.size - 1:#x}"
            )
        there = max(0, min(size, source.size - offset))
        if there < size:
            if not allow_truncated:
                raise truncated(source, offset, size - there)
            missing += size - there
        if there:
            segments.append(Segment(start, there, offset))
    if not segments:
        raise ImageFormatError(f"{source.name}: an ELF core without physical memory in it: a process's core, not a node's RAM")
    return segments, missing


def _notes(source: Source, offset: int, size: int) -> dict[str, bytes]:
    """Notes by name (VMCOREINFO, QEMU, CORE); the first of a name is kept. Damaged ones end the list."""
    found: dict[str, bytes] = {}
    try:
        raw = read(source, offset, min(size, _MAX_NOTES))
    except TruncatedImageError:
        return found
    at = 0
    while at + NHDR.sizeof() <= len(raw):
        head = NHDR.parse(raw[at : at + NHDR.sizeof()])
        name_at = at + NHDR.sizeof()
        data_at = name_at + (head.n_namesz + 3 & ~3)
        at = data_at + (head.n_descsz + 3 & ~3)
        if at > len(raw):
            break
        name = raw[name_at : name_at + head.n_namesz].rstrip(b"\0").decode("ascii", "replace")
        found.setdefault(name, raw[data_at : data_at + head.n_descsz])
    return found
