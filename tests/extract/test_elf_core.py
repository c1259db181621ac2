# SPDX-License-Identifier: Apache-2.0
"""Cores as elf(5) and core(5) lay them out, read back through the declaration that images are read by."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from memir.extract.elf_core import (
    MACHINES,
    NT_AUXV,
    NT_FILE,
    NT_PRPSINFO,
    NT_PRSTATUS,
    PAGE,
    Mapped,
    Segment,
    files,
    headers,
    note,
    prpsinfo,
    prstatus,
)
from memir.image.elf import EHDR, NHDR, PHDR


def notes_of(raw: bytes) -> list[tuple[int, bytes]]:
    out, place = [], 0
    while place < len(raw):
        head = NHDR.parse(raw[place : place + 12])
        begin = place + 12 + -(-head.n_namesz // 4) * 4
        assert raw[place + 12 : place + 12 + head.n_namesz] == b"CORE\0"
        out.append((head.n_type, raw[begin : begin + head.n_descsz]))
        place = begin + -(-head.n_descsz // 4) * 4
    return out


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 7)), max_size=30), st.binary(max_size=40))
def test_headers(rows: list[tuple[int, int]], data: bytes) -> None:
    segments = [Segment(number << 20, size * PAGE, flags) for number, (size, flags) in enumerate(rows)]
    notes = note(NT_AUXV, data)
    raw = headers(MACHINES["arm64"], notes, segments)
    head = EHDR.parse(raw)
    assert (head.e_type, head.e_machine, head.e_phnum) == (4, 183, len(rows) + 1) and len(raw) % PAGE == 0
    table = [PHDR.parse(raw[head.e_phoff + 56 * row :]) for row in range(head.e_phnum)]
    assert (table[0].p_type, raw[table[0].p_offset :][: table[0].p_filesz]) == (4, notes)
    place = len(raw)
    for segment, program in zip(segments, table[1:], strict=True):
        assert (program.p_type, program.p_vaddr, program.p_memsz) == (1, segment.start, segment.size)
        assert (program.p_filesz, program.p_flags, program.p_offset) == (segment.size, segment.flags, place)
        place += segment.size


def test_more_segments_than_the_header_counts() -> None:
    segments = [Segment(row * PAGE, PAGE, 4) for row in range(70_000)]
    raw = headers(62, b"", segments)
    head = EHDR.parse(raw)
    assert (head.e_phnum, head.e_shnum) == (0xFFFF, 1)
    assert struct.unpack_from("<I", raw, head.e_shoff + 44)[0] == 70_001


def test_notes() -> None:
    registers = bytes(range(216))
    raw = prstatus(7, 3, registers) + prpsinfo(
        state="S", pid=7, ppid=3, uid=1000, gid=0, name=b"x" * 40, arguments=b"y" * 200
    ) + files([Mapped(4096, 8192, 8192, b"/a\0b"), Mapped(8192, 12288, 0, b"/c (deleted)")])  # fmt: skip
    (one, status), (two, info), (three, mapped) = notes_of(raw)
    assert (one, two, three) == (NT_PRSTATUS, NT_PRPSINFO, NT_FILE)
    assert len(status) == 336 and struct.unpack_from("<II", status, 32) == (7, 3) and status[112:328] == registers
    assert len(info) == 136 and info[1:2] == b"S" and struct.unpack_from("<IIII", info, 16) == (1000, 0, 7, 3)
    assert info[40:56] == b"x" * 15 + b"\0" and info[56:136] == b"y" * 79 + b"\0"
    assert struct.unpack_from("<8Q", mapped) == (2, PAGE, 4096, 8192, 2, 8192, 12288, 0)
    assert mapped[64:] == b"/a?b\0/c (deleted)\0"
