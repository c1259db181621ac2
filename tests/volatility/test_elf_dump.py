# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Programs as their processes have them, put together as files; headers that lie."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volatility3.plugins.linux import elfs

import memir
from memir.volatility.beside import run_on
from memir.volatility.elf_dump import MAX_FILE, program, whole_programs
from tests.images import cache, case

BASE = 0x7F0000000000


def elf(segments: list[tuple[int, int, int]], wide: bool = True, count: int | None = None) -> bytes:
    """An ELF header and program headers of (offset, virtual address, bytes in the file) of what is loaded."""
    size = 56 if wide else 32
    head = bytearray(64 if wide else 52)
    head[:5] = b"\x7fELF" + bytes([2 if wide else 1])
    struct.pack_into("<Q" if wide else "<I", head, 32 if wide else 28, len(head))
    struct.pack_into("<HH", head, 54 if wide else 42, size, len(segments) if count is None else count)
    for offset, virtual, length in segments:
        if wide:
            head += struct.pack("<IIQQQQQQ", 1, 5, offset, virtual, virtual, length, length, 4096)
        else:
            head += struct.pack("<8I", 1, offset, virtual, virtual, length, length, 5, 4096)
    return bytes(head)


def reader(parts: dict[int, bytes]) -> Callable[[int, int], bytes]:
    """Memory of these parts, zeros elsewhere."""

    def read(address: int, size: int) -> bytes:
        data = bytearray(size)
        for start, part in parts.items():
            low, high = max(start, address), min(start + len(part), address + size)
            if low < high:
                data[low - address : high - address] = part[low - start : high - start]
        return bytes(data)

    return read


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("linked", [0, 0x400000])  # position independent or not
def test_segments_go_to_their_places_in_the_file(wide: bool, linked: int) -> None:
    start = BASE if wide else 0x8048000
    head = elf([(0, linked, 0x200), (0x1000, linked + 0x3000, 0x20)], wide)
    data = program(reader({start: head, start + 0x3000: b"c" * 0x20}), start)
    assert data is not None and len(data) == 0x1020
    assert data[: len(head)] == head
    assert data[0x1000:] == b"c" * 0x20


@pytest.mark.parametrize(
    "raw",
    [b"\x7fELF\x03", b"MZ" * 40, elf([]), elf([(0x2000, 0, 5)]), elf([(0, 0, MAX_FILE + 1)]),
     elf([(0, 0, 1)], count=500), elf([(0, 0, MAX_FILE // 2 + 1), (8, 0, MAX_FILE // 2 + 1)])],
)  # fmt: skip
def test_headers_that_lie(raw: bytes) -> None:
    assert program(reader({BASE: raw}), BASE) is None


@given(st.binary(max_size=60), st.lists(st.tuples(*[st.integers(0, 0xFFFF_FFFF)] * 3), max_size=4))
def test_any_bytes(noise: bytes, segments: list[tuple[int, int, int]]) -> None:
    """Never an exception, and never more read than the bound."""
    total = 0

    def read(address: int, size: int) -> bytes:
        nonlocal total
        total += size
        assert size <= MAX_FILE
        small = reader({BASE: elf(segments) + noise})(address, min(size, 4096))
        return small.ljust(min(size, 4096), b"\0")

    if sum(length for _, _, length in segments) + max((at for at, _, _ in segments), default=0) < 1 << 24:
        program(read, BASE)
    assert total <= MAX_FILE + 4096 * 8


def test_only_meanwhile(tmp_path: Path) -> None:
    before = vars(elfs.Elfs)["elf_dump"]
    with whole_programs():
        assert vars(elfs.Elfs)["elf_dump"] is not before
    assert vars(elfs.Elfs)["elf_dump"] is before
    with memir.open(case("s-6.1-small").image, cache=cache()) as node:
        result = run_on(node.source, node.anchors, "linux.elfs", ["--pid", "189", "--dump"], output=tmp_path)
    assert [path.read_bytes()[:4] for path in result.files] == [b"\x7fELF"] * len(result.files)
    assert len(result.files) >= 1 and result.unwritten == 0
