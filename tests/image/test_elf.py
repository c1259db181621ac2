# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest

from memir.errors import ImageError, ImageFormatError, MemirError, TruncatedImageError
from memir.image.elf import read_layout
from memir.image.layout import Range, Segment
from memir.image.open import open_image
from memir.image.source import MappedFile
from tests.fuzz import cases, mutations
from tests.image.files import PAGE, THREE, ehdr, elf, noise, note, phdr, put, u64

A, B = noise(PAGE, 1), noise(2 * PAGE, 2)
VMCOREINFO = note(b"VMCOREINFO\0", b"OSRELEASE=6.1.0\n")


def core(*loads: tuple[int, int, bytes], notes: bytes = b"") -> bytes:
    """PT_LOADs of (physical, virtual, bytes), their bytes in this order."""
    offset = 64 + 56 * (len(loads) + 1)
    heads, body = phdr(4, offset, 0, len(notes)), notes
    for pa, virtual, data in loads:
        heads += phdr(1, offset + len(body), pa, len(data), virtual)
        body += data
    return ehdr(len(loads) + 1) + heads + body


@pytest.mark.parametrize("odd", [0, 1, 3])
def test_ranges_notes_and_bytes(odd: int, tmp_path: Path) -> None:
    notes = note(b"CORE\0", b"cpu 0") + note(b"CORE\0", b"cpu 1") + VMCOREINFO
    with open_image(put(tmp_path, elf(THREE, notes, odd))) as memory:
        assert (memory.format, memory.container, memory.holes_may_be_zero) == ("ELF core", None, False)
        assert memory.ranges == (Range(0x1000, 3 * PAGE), Range(0x100000, 75 * PAGE))
        assert memory.notes == {"CORE": b"cpu 0", "VMCOREINFO": b"OSRELEASE=6.1.0\n"}
        for pa, data in THREE:
            assert memory.read(pa, len(data)) == data


def test_the_layout(tmp_path: Path) -> None:
    """Where each range lies in the file; what has no physical address, and what holds nothing, is left out."""
    path = put(
        tmp_path, core((0x5000, 1, B), ((1 << 64) - 1, 2, A), (0x1000, 3, A), (0x9000, 4, b""), notes=VMCOREINFO)
    )
    layout = read_layout(MappedFile(path), allow_truncated=False)
    begin = 64 + 56 * 5 + len(VMCOREINFO)
    assert layout.segments == [Segment(0x1000, PAGE, begin + 3 * PAGE), Segment(0x5000, 2 * PAGE, begin)]
    assert (layout.format, layout.missing, layout.repairs) == ("ELF core", 0, ())
    assert layout.notes == {"VMCOREINFO": b"OSRELEASE=6.1.0\n"}
    path.write_bytes(path.read_bytes()[:-100])
    assert read_layout(MappedFile(path), allow_truncated=True).missing == 100
    with pytest.raises(TruncatedImageError):
        read_layout(MappedFile(path), allow_truncated=False)


def test_loads_in_any_order(tmp_path: Path) -> None:
    with open_image(put(tmp_path, core((0x9000, 0, B), (0x1000, 0, A), (0x8000, 0, A)))) as memory:
        assert memory.ranges == (Range(0x1000, PAGE), Range(0x8000, 3 * PAGE))
        assert memory.read(0x8FF8, 16) == A[-8:] + B[:8]


def test_kcore_maps_the_kernels_text_twice(tmp_path: Path) -> None:
    """KCORE_TEXT lies within System RAM; vmalloc and modules have no physical address (fs/proc/kcore.c)."""
    ram = noise(16 * PAGE, 3)
    text = ram[4 * PAGE : 6 * PAGE]
    data = core(
        (0x4000, 0xFFFFFFFF81000000, text),
        (2**64 - 1, 0xFFFFC90000000000, A),
        (0, 0xFFFF888000000000, ram),
        (2**64 - 1, 0xFFFFFFFFC0000000, A),
        (0x100000, 0xFFFF888000100000, B),
    )
    with open_image(put(tmp_path, data)) as memory:
        assert memory.ranges == (Range(0, 16 * PAGE), Range(0x100000, 2 * PAGE))
        assert memory.read(0, 16 * PAGE) == ram


def test_mappings_that_share_a_part(tmp_path: Path) -> None:
    """dump-guest-memory -p writes virtual mappings; memory that two of them cover is taken once."""
    ram = noise(6 * PAGE, 4)
    data = core(
        (0x1000, 0x10000, ram[: 4 * PAGE]),
        (0x3000, 0x80000, ram[2 * PAGE :]),
        (0x3000, 0x90000, ram[2 * PAGE :]),
    )
    with open_image(put(tmp_path, data)) as memory:
        assert memory.ranges == (Range(0x1000, 6 * PAGE),)
        assert memory.read(0x1000, 6 * PAGE) == ram


def test_an_arm64_core_of_qemu(tmp_path: Path) -> None:
    """e_ehsize 8, the section header before the program headers, data at an odd offset."""
    head = bytearray(ehdr(2, phoff=128, shoff=64))
    head[52:54] = struct.pack("<H", 8)
    body = 128 + 2 * 56 + 5
    data = bytes(head) + bytes(64) + phdr(4, body, 0, 0) + phdr(1, body, 0x40000000, len(A)) + bytes(5) + A
    with open_image(put(tmp_path, data)) as memory:
        assert memory.read(0x40000000, PAGE) == A


def test_more_headers_than_e_phnum_holds(tmp_path: Path) -> None:
    count = 65_536
    section = bytes(44) + struct.pack("<I", count) + bytes(16)
    heads = phdr(1, 128 + 56 * count, 0x1000, len(A)) + bytes(56) * (count - 1)
    with open_image(put(tmp_path, ehdr(0xFFFF, phoff=128, shoff=64) + section + heads + A)) as memory:
        assert memory.read(0x1000, PAGE) == A


GOOD = core((0x1000, 0, A), (0x8000, 0, B))
FIRST = 64 + 56 * 3


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (ehdr(1, kind=2) + bytes(200), ImageFormatError, ["type 2, not a core", "a program is not"]),
        (ehdr(1, kind=3) + bytes(200), ImageFormatError, ["type 3, not a core"]),
        (ehdr(1, ident=b"\x01\x01\x01") + bytes(200), ImageFormatError, ["not 64-bit little-endian"]),
        (ehdr(1, ident=b"\x02\x02\x01") + bytes(200), ImageFormatError, ["not 64-bit little-endian"]),
        (ehdr(0) + bytes(200), ImageFormatError, ["without physical memory", "process's core"]),
        (core((2**64 - 1, 0x400000, A)), ImageFormatError, ["without physical memory"]),
        (
            ehdr(3, phentsize=32) + bytes(200),
            ImageFormatError,
            ["3 program headers of 32 bytes at offset 0x40"],
        ),
        (ehdr(3)[:40], TruncatedImageError, ["40 bytes", "ELF header is cut"]),
        (
            ehdr(9, phoff=1 << 40) + bytes(99),
            TruncatedImageError,
            ["9 program headers at offset 0x10000000000", "163 bytes"],
        ),
        (ehdr(2**16 - 2) + bytes(99), TruncatedImageError, ["65534 program headers at offset 0x40"]),
        (
            ehdr(2**16 - 1, shoff=1 << 63) + bytes(99),
            TruncatedImageError,
            ["section header at offset 0x8000000000000000"],
        ),
        (
            ehdr(2**16 - 1, shoff=64) + bytes(44) + b"\xff" * 20,
            ImageFormatError,
            ["4294967295 program headers"],
        ),
        (
            core((0x1000, 0, B), (0x2000, 0, B)),
            ImageFormatError,
            ["0x2000-0x3fff", "overlaps 0x1000-0x2fff", f"{FIRST:#x}"],
        ),
        (core((0x1000, 0, B), (0x1000, 0, A)), ImageFormatError, ["0x1000-0x1fff", "overlaps 0x1000-0x2fff"]),
        (core((1 << 56, 0, A)), ImageFormatError, ["absurd range 0x100000000000000 + 0x1000"]),
        (core((2**64 - 2, 0, A)), ImageFormatError, ["absurd range"]),
        (
            ehdr(1) + phdr(1, 120, 0x1000, 2**63),
            ImageFormatError,
            ["absurd range 0x1000 + 0x8000000000000000"],
        ),
        (
            ehdr(1) + phdr(1, 2**63, 0x1000, 4096),
            TruncatedImageError,
            ["0x8000000000000000", "lacks 4096 bytes"],
        ),
        (GOOD[:-100], TruncatedImageError, [f"{FIRST + PAGE:#x}", "lacks 100 bytes", "--allow-truncated"]),
    ],
)
def test_bad_files_say_what_and_where(data: bytes, kind: type[MemirError], words: list[str], tmp_path: Path) -> None:
    path = put(tmp_path, data)
    with pytest.raises(kind) as caught:
        open_image(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("cut", "ranges"), [(100, [0x1000, 0x2000 - 100]), (2 * PAGE, [0x1000]), (2 * PAGE + 1, [0xFFF])]
)
def test_a_cut_file_if_allowed(cut: int, ranges: list[int], tmp_path: Path) -> None:
    with open_image(put(tmp_path, GOOD[:-cut]), allow_truncated=True) as memory:
        assert memory.missing == cut
        assert [one.size for one in memory.ranges] == ranges
        assert not memory.present(u64(0x8000 + 2 * PAGE - 1))[0]


def test_damaged_notes_do_not_matter(tmp_path: Path) -> None:
    for notes, found in (
        (VMCOREINFO + b"\xff" * 12 + VMCOREINFO, {"VMCOREINFO": b"OSRELEASE=6.1.0\n"}),
        (b"\xff" * 40, {}),
        (VMCOREINFO[:-4], {}),
        (note(b"\xff\xfe", b"x"), {"\ufffd\ufffd": b"x"}),
    ):
        with open_image(put(tmp_path, core((0, 0, A), notes=notes))) as memory:
            assert memory.notes == found
    data = ehdr(2) + phdr(4, 1 << 50, 0, 100) + phdr(1, 64 + 112, 0, len(A)) + A
    with open_image(put(tmp_path, data)) as memory:
        assert memory.notes == {}


def test_endless_notes_end(tmp_path: Path) -> None:
    """Every header points to the same megabytes of empty notes."""
    size = 8 << 20
    heads = phdr(4, 64 + 56 * 501, 0, size) * 500 + phdr(1, 64 + 56 * 501, 0, PAGE)
    begin = time.monotonic()
    with open_image(put(tmp_path, ehdr(501) + heads + bytes(size))) as memory:
        assert memory.notes == {"": b""}
    assert time.monotonic() - begin < 20


def test_fuzz(tmp_path: Path) -> None:
    seeds = [
        GOOD,
        elf(THREE[:1], VMCOREINFO),
        core(*((one * PAGE, one, b"ab") for one in range(20)), notes=VMCOREINFO),
    ]
    opened = 0
    for number, data in enumerate(mutations(seeds, cases())):
        path = put(tmp_path, data)
        try:
            with open_image(path, allow_truncated=bool(number % 2), cache=tmp_path) as memory:
                opened += 1
                assert memory.size <= len(data) * len(memory.ranges)
                for pa, view in memory.views():
                    assert memory.read(pa, len(view)) == view.tobytes()
        except ImageError as error:
            assert str(path) in str(error)
    assert opened > cases() // 20
