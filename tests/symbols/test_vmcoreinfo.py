# SPDX-License-Identifier: Apache-2.0
"""VMCOREINFO: read from every image, and from text that is anything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memir.image.memory import PhysicalMemory, Range
from memir.symbols import vmcoreinfo
from tests.fuzz import cases, mutations
from tests.images import case

TEXT = (
    b"OSRELEASE=6.1.0-50-cloud-amd64\nBUILD-ID=c0ffee\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=ffffffff9ba1bb40\n"
    b"OFFSET(list_head.next)=0\nNUMBER(phys_base)=-2113929216\nSYMBOL(swapper_pg_dir)=ffffffff9ba10000\n"
    b"NUMBER(pgtable_l5_enabled)=0\nKERNELOFFSET=1a000000\nNUMBER(x)=0x20\nCRASHTIME=1795471952\n"
)


def test_parts() -> None:
    info = vmcoreinfo.parse(TEXT + b"\0SYMBOL(behind)=1\n", 0x7000)
    assert info.address == 0x7000
    assert (info.release, info.build_id, info.kernel_offset) == ("6.1.0-50-cloud-amd64", "c0ffee", 0x1A000000)
    assert info.symbols == {"init_uts_ns": 0xFFFFFFFF9BA1BB40, "swapper_pg_dir": 0xFFFFFFFF9BA10000}
    assert info.numbers == {"phys_base": 2**64 - 2113929216, "pgtable_l5_enabled": 0, "x": 0x20}


def test_parts_that_are_torn() -> None:
    good = b"OSRELEASE=6.1\nSYMBOL(b)=10\n"
    torn = b"SYMBOL(a)=zz\nNUMBER()=1\nSYMBOL(c\nno equals sign\n\xff\xfe=1\nKERNELOFFSET=?\nNUMBER(n)=\n"
    info = vmcoreinfo.parse(good + torn, 0)
    assert (info.symbols, info.numbers) == ({"b": 16}, {})
    assert (info.release, info.build_id, info.kernel_offset) == ("6.1", None, None)


def test_every_image(image: str) -> None:
    memory = case(image).open()
    found = list(vmcoreinfo.find(memory))
    kernels = {(info.release, info.build_id) for info in found}
    assert len(kernels) == 1
    info = found[0]
    assert memory.read(info.address, 10) == b"OSRELEASE="
    assert info.address % 4096 == 0
    assert info.symbols["init_uts_ns"] >> 47 == 0x1FFFF
    assert ("phys_base" in info.numbers) != ("kimage_voffset" in info.numbers)


def test_likely_places_first_and_each_page_once() -> None:
    """Two pages, one early in memory, one far behind: both are found, the early one first."""
    pages = {0x2000: TEXT, 0x900_0000: TEXT.replace(b"6.1.0", b"6.2.0"), 0x3800: TEXT}

    def read(pa: int, size: int) -> bytes:
        data = bytearray(size)
        for at, text in pages.items():
            if pa <= at < pa + size:
                data[at - pa : at - pa + len(text)] = text
        return bytes(data)

    memory = PhysicalMemory.from_reader([Range(0, 0xA00_0000)], read, "two", "raw")
    assert [(one.address, one.release[:3]) for one in vmcoreinfo.find(memory)] == [(0x2000, "6.1"), (0x900_0000, "6.2")]


@given(st.binary(max_size=4096))
def test_any_bytes(text: bytes) -> None:
    info = vmcoreinfo.parse(text, 0)
    assert all(0 <= value < 2**64 for value in (*info.symbols.values(), *info.numbers.values()))


def test_mutations() -> None:
    for text in mutations([TEXT], cases()):
        info = vmcoreinfo.parse(text, 0)
        assert all(0 <= value < 2**64 for value in (*info.symbols.values(), *info.numbers.values()))
        assert info.kernel_offset is None or 0 <= info.kernel_offset < 2**64
