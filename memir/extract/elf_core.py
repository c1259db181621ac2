# SPDX-License-Identifier: Apache-2.0
"""The layout of an ELF64 core file of one process, as Linux writes them and gdb reads them: core(5), elf(5).

fs/binfmt_elf.c writes one PT_LOAD a region, and a p_filesz of 0 for what it leaves out: gdb shows zeros there. Here a
run of a region's pages that are in RAM is one PT_LOAD, and no PT_LOAD has a page that is not: gdb says of one that it
cannot be read. A region that is whole in RAM is one PT_LOAD. Where regions begin and end the manifest says.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

PAGE = 4096
MACHINES = {"x86_64": 62, "arm64": 183}
NT_PRSTATUS, NT_PRPSINFO, NT_AUXV, NT_FILE = 1, 3, 6, 0x46494C45
_CORE, _LOAD, _NOTE = 4, 1, 4
_PN_XNUM = 0xFFFF
_HEADER, _PROGRAM = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of pages: virtual bytes [start, start + size), all of them in the file. flags: PF_R 4, PF_W 2, PF_X 1."""

    start: int
    size: int
    flags: int


@dataclass(frozen=True, slots=True)
class Mapped:
    """A region with a file, for NT_FILE: offset in bytes, name as maps has it."""

    start: int
    end: int
    offset: int
    name: bytes


def headers(machine: int, notes: bytes, segments: Sequence[Segment]) -> bytes:
    """All that stands before the bytes of the first segment; those follow in order, each page-aligned by itself."""
    many = len(segments) + 1
    note_at = _HEADER.size + _PROGRAM.size * many
    section_at = (note_at + len(notes) + 7) & ~7
    extended = many >= _PN_XNUM  # then section 0 has the number: elf(5), PN_XNUM
    end = section_at + (_SECTION.size if extended else 0)
    data_at = -(-end // PAGE) * PAGE
    head = _HEADER.pack(
        b"\x7fELF\x02\x01\x01".ljust(16, b"\0"), _CORE, machine, 1, 0, _HEADER.size, section_at if extended else 0, 0,
        _HEADER.size, _PROGRAM.size, _PN_XNUM if extended else many, _SECTION.size if extended else 0,
        1 if extended else 0, 0,
    )  # fmt: skip
    parts = [head, _PROGRAM.pack(_NOTE, 0, note_at, 0, 0, len(notes), 0, 4)]
    place = data_at
    for segment in segments:
        parts.append(_PROGRAM.pack(_LOAD, segment.flags, place, segment.start, 0, segment.size, segment.size, PAGE))
        place += segment.size
    body = b"".join(parts) + notes
    if extended:
        body = body.ljust(section_at, b"\0") + _SECTION.pack(0, 0, 0, 0, 0, 0, 0, many, 0, 0)
    return body.ljust(data_at, b"\0")


def note(kind: int, data: bytes) -> bytes:
    """One note of the owner CORE."""
    return struct.pack("<III", 5, len(data), kind) + b"CORE\0\0\0\0" + data + bytes(-len(data) % 4)


def prstatus(tid: int, ppid: int, registers: bytes) -> bytes:
    """struct elf_prstatus of a thread: its number, its parent's, its general registers; no signal, no times."""
    head = bytes(32) + struct.pack("<IIII", tid, max(ppid, 0), 0, 0) + bytes(64)
    return note(NT_PRSTATUS, head + registers + bytes(8))


def prpsinfo(*, state: str, pid: int, ppid: int, uid: int, gid: int, name: bytes, arguments: bytes) -> bytes:
    """struct elf_prpsinfo of a process: 16 bytes of its name, 80 of its command line."""
    letter = state[:1].encode("ascii", "replace") or b"?"
    number = "RSDTZW".find(state[:1])
    head = struct.pack("<B1sBbxxxxQIIIIII", max(number, 0), letter, state[:1] == "Z", 0, 0, uid & 0xFFFF_FFFF,
                       gid & 0xFFFF_FFFF, pid, max(ppid, 0), 0, 0)  # fmt: skip
    return note(NT_PRPSINFO, head + name[:15].ljust(16, b"\0") + arguments[:79].ljust(80, b"\0"))


def files(mapped: Sequence[Mapped]) -> bytes:
    """NT_FILE: which files are mapped where; offsets in pages."""
    rows = b"".join(struct.pack("<QQQ", row.start, row.end, row.offset // PAGE) for row in mapped)
    names = b"".join(row.name.replace(b"\0", b"?") + b"\0" for row in mapped)
    return note(NT_FILE, struct.pack("<QQ", len(mapped), PAGE) + rows + names)
