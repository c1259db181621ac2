# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
import struct

import pytest

from memir.evidence.coverage import AVML_BLOCK, compare
from memir.evidence.iomem import parse_iomem, parse_kcore, parse_reserved
from memir.evidence.ranges import Range, intersect, merge, show, subtract, total
from tests.acquire.rigs.noderig import Segment, iomem, kcore
from tests.fuzz import cases

CASES = cases(300)
MIB = 1 << 20

REAL = b"""\
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
0009fc00-0009ffff : Reserved
000a0000-000bffff : PCI Bus 0000:00
00100000-bffd9fff : System RAM
  01000000-020025f0 : Kernel code
bffda000-bfffffff : Reserved
100000000-13fffffff : System RAM
140000000-33fffffff : virtio0
  140000000-147ffffff : System RAM (virtio_mem)
"""


def test_system_ram_of_a_real_machine() -> None:
    assert parse_iomem(REAL) == ((0x1000, 0x9FC00), (0x100000, 0xBFFDA000), (0x100000000, 0x148000000))


def test_hidden_addresses_are_no_ram() -> None:
    assert parse_iomem(b"00000000-00000000 : System RAM\n00000000-00000000 : System RAM\n") == ()


@pytest.mark.parametrize("line", [b"", b"\xff\xfe : System RAM", b"10-5 : System RAM", b"zz-ff : System RAM", b"1-2"])
def test_lines_that_are_not_iomem(line: bytes) -> None:
    assert parse_iomem(line) == ()


def test_kcore_headers_of_the_rig() -> None:
    segments = [Segment(0x1000, bytes(0x9E000)), Segment(0x100000, bytes(MIB))]
    assert parse_kcore(kcore(segments)[:4096]) == ((0x1000, 0x9F000), (0x100000, 0x200000))
    assert parse_iomem(iomem(segments)) == ((0x1000, 0x9F000), (0x100000, 0x200000))


def test_kcore_segments_without_a_physical_address_do_not_count() -> None:
    head = bytearray(kcore([Segment(0x1000, bytes(4096)), Segment(0x10000, bytes(4096))])[:4096])
    struct.pack_into("<Q", head, 64 + 56 * 2 + 24, (1 << 64) - 1)
    assert parse_kcore(bytes(head)) == ((0x1000, 0x2000),)


def test_kcore_headers_that_are_cut_give_nothing() -> None:
    head = kcore([Segment(0x1000, bytes(4096)), Segment(0x10000, bytes(4096))])
    assert parse_kcore(head[:200]) == ()
    assert parse_kcore(b"\x7fELF") == ()


RAM: tuple[Range, ...] = ((0x1000, 0x9F000), (0x100000, 0x100000 + 40 * MIB))


def test_whole_blocks_are_zero_holes() -> None:
    got = [(0x1000, 0x9F000), (0x100000, 0x100000 + 16 * MIB), (0x100000 + 32 * MIB, 0x100000 + 40 * MIB)]
    found = compare(RAM, got)
    assert found.complete
    assert found.zero == ((0x100000 + 16 * MIB, 0x100000 + 32 * MIB),)
    assert found.missing == found.unreadable == found.extra == ()


def test_the_last_short_block_may_be_zero() -> None:
    assert compare(RAM, [(0x1000, 0x9F000), (0x100000, 0x100000 + 32 * MIB)]).zero == (
        (0x100000 + 32 * MIB, 0x100000 + 40 * MIB),
    )


@pytest.mark.parametrize("end", [0x100000 + 16 * MIB + 4096, 0x100000 + 31 * MIB, 0x100000 + 40 * MIB - 4096])
def test_a_hole_off_the_grid_is_missing(end: int) -> None:
    found = compare(RAM, [(0x1000, 0x9F000), (0x100000, end)])
    assert not found.complete
    assert found.missing == ((end, 0x100000 + 40 * MIB),)


def test_lime_leaves_out_nothing() -> None:
    found = compare(RAM, [(0x1000, 0x9F000), (0x100000, 0x100000 + 16 * MIB)], block=0)
    assert found.missing == ((0x100000 + 16 * MIB, 0x100000 + 40 * MIB),)


def test_a_range_that_kcore_does_not_give_is_unreadable() -> None:
    kcore_ranges = [(0x1000, 0x9F000), (0x100000, 0x100000 + 20 * MIB)]
    found = compare(RAM, kcore_ranges, kcore_ranges)
    assert not found.complete
    assert found.withheld == ((0x100000 + 20 * MIB, 0x100000 + 40 * MIB),)
    assert found.unreadable == ((0x100000 + 20 * MIB, 0x100000 + 40 * MIB),)


def test_the_grid_starts_where_kcore_and_ram_meet() -> None:
    shifted = [(0x1000, 0x9F000), (0x100000 + 4 * MIB, 0x100000 + 40 * MIB)]
    got = [(0x1000, 0x9F000), (0x100000 + 20 * MIB, 0x100000 + 40 * MIB)]
    assert compare(RAM, got, shifted).zero == ((0x100000 + 4 * MIB, 0x100000 + 20 * MIB),)
    assert compare(RAM, got).missing == ((0x100000, 0x100000 + 20 * MIB),)


def test_a_torn_page_at_the_edge_is_unreadable_not_missing() -> None:
    found = compare([(0x1000, 0x9FC00)], [(0x1000, 0x9F000)])
    assert (found.unreadable, found.missing, found.withheld) == (((0x9F000, 0x9FC00),), (), ())
    assert found.complete
    inner = compare([(0x1000, 0x9F000)], [(0x1000, 0x9E800)])
    assert inner.missing == ((0x9E800, 0x9F000),)


def test_no_ram_known_is_never_complete() -> None:
    assert not compare([], [(0, 4096)]).complete


def test_show_names_the_first_few() -> None:
    assert show([(0, 0x1000)] * 6) == "0x0-0xfff, 0x0-0xfff, 0x0-0xfff, 0x0-0xfff and 2 more"


def as_set(ranges: tuple[Range, ...]) -> set[int]:
    return {value for start, end in ranges for value in range(start, end)}


def test_set_arithmetic_against_sets() -> None:
    rng = random.Random(5)
    for _ in range(CASES):
        a, b = (merge((s, s + rng.randrange(1, 9)) for s in rng.sample(range(64), rng.randrange(6))) for _ in "ab")
        assert as_set(subtract(a, b)) == as_set(a) - as_set(b)
        assert as_set(intersect(a, b)) == as_set(a) & as_set(b)
        assert total(subtract(a, b)) + total(intersect(a, b)) == total(a)


def test_every_byte_of_ram_gets_one_verdict() -> None:
    rng = random.Random(6)
    for _ in range(CASES // 10):
        ram = merge((s * 4096, (s + rng.randrange(1, 9)) * 4096) for s in rng.sample(range(64), rng.randrange(1, 6)))
        got = merge((s * 4096, (s + rng.randrange(1, 9)) * 4096) for s in rng.sample(range(64), rng.randrange(6)))
        found = compare(ram, got, block=3 * 4096)
        parts = (found.missing, found.zero, found.unreadable, intersect(ram, got))
        assert sum(map(total, parts)) == total(ram)
        assert as_set(found.missing).isdisjoint(as_set(found.zero))


def test_hostile_bytes_never_raise() -> None:
    rng = random.Random(7)
    head = kcore([Segment(0x1000, bytes(4096)), Segment(0x10000, bytes(4096))])[:512]
    for _ in range(CASES):
        for source in (REAL, head):
            data = bytearray(source[: rng.randrange(len(source))])
            for _ in range(rng.randrange(8)):
                if data:
                    data[rng.randrange(len(data))] = rng.randrange(256)
            for start, end in (*parse_iomem(bytes(data)), *parse_kcore(bytes(data))):
                assert 0 <= start < end
    assert AVML_BLOCK == 16 * MIB


def test_reserved_ranges_below_the_end_of_ram() -> None:
    text = (
        b"00000000-00000fff : Reserved\n00001000-0009ffff : System RAM\n000a0000-000fffff : Reserved\n"
        b"00100000-001fffff : System RAM\n  00180000-0018ffff : Reserved\nfec00000-fec003ff : Reserved\nx\n"
    )
    assert parse_reserved(text) == 0x1000 + 0x60000
    assert parse_reserved(b"") == 0
