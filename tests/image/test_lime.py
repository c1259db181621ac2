# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import ImageError, ImageFormatError, MemirError, TruncatedImageError
from memir.image.layout import MAX_SEGMENTS, Range
from memir.image.lime import read_header, read_layout, truncated
from memir.image.open import open_image
from memir.image.records import Record
from memir.image.source import MappedFile
from tests.fuzz import cases, mutations
from tests.image.files import PAGE, THREE, Parts, avml_block, lime, noise, put, record, u64

SMALL: Parts = [(0x1000, noise(100, 1)), (0x3000, noise(PAGE, 2)), (0x4000, noise(50, 3))]


def test_ranges_and_bytes(tmp_path: Path) -> None:
    with open_image(put(tmp_path, lime(SMALL))) as memory:
        assert (memory.format, memory.container, memory.missing) == ("LiME", None, 0)
        assert memory.ranges == (Range(0x1000, 100), Range(0x3000, PAGE + 50))
        assert memory.holes_may_be_zero
        assert memory.file_size == len(lime(SMALL))
        for pa, data in SMALL:
            assert memory.read(pa, len(data)) == data
        assert memory.present(u64(0x1063, 0x1064, 0x2FFF, 0x4031, 0x4032)).tolist() == [
            True,
            False,
            False,
            True,
            False,
        ]


BODY = noise(PAGE)
GOOD = record(b"EMiL", 1, 0x1000, 0x1FFF) + BODY
AT = f"{len(GOOD):#x}"


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (
            GOOD + record(b"EMiL", 2, 0x2000, 0x2FFF) + BODY,
            ImageFormatError,
            [AT, "magic 0x4c694d45, version 2"],
        ),
        (GOOD + record(b"XXXX", 1, 0x2000, 0x2FFF) + BODY, ImageFormatError, [AT, "magic 0x58585858"]),
        (GOOD + bytes(PAGE) + b"x", ImageFormatError, [AT, "magic 0x00000000"]),
        (GOOD + record(b"EMiL", 1, 0x3000, 0x2FFF), ImageFormatError, [AT, "absurd range 0x3000-0x2fff"]),
        (
            GOOD + record(b"EMiL", 1, 0x3000, 2**64 - 1),
            ImageFormatError,
            [AT, "absurd range", "0xffffffffffffffff"],
        ),
        (GOOD + record(b"EMiL", 1, 0x3000, 1 << 56), ImageFormatError, [AT, "absurd range"]),
        (GOOD + record(b"EMiL", 1, 0x3000, 0x3FFF, padding=1) + BODY, ImageFormatError, [AT, "not zero"]),
        (
            GOOD + record(b"EMiL", 1, 0x3000, (1 << 56) - 1) + BODY,
            TruncatedImageError,
            [f"{len(GOOD) + 32:#x}", "lacks", "--allow-truncated"],
        ),
        (GOOD[:-1], TruncatedImageError, ["0x20", "lacks 1 bytes", f"{len(GOOD) - 1:#x}"]),
        (GOOD + GOOD[:31], TruncatedImageError, [AT, "record header", "--allow-truncated"]),
        (GOOD[:20], TruncatedImageError, ["0x0", "record header"]),
    ],
)
def test_bad_files_say_what_and_where(data: bytes, kind: type[MemirError], words: list[str], tmp_path: Path) -> None:
    path = put(tmp_path, data)
    with pytest.raises(kind) as caught:
        open_image(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("cut", [1, PAGE, PAGE + 31, PAGE + 32, PAGE + 33])
def test_a_cut_file_opens_if_allowed_and_says_how_much_is_missing(cut: int, tmp_path: Path) -> None:
    two = GOOD + record(b"EMiL", 1, 0x8000, 0x8FFF) + BODY
    path = put(tmp_path, two[:-cut])
    with open_image(path, allow_truncated=True) as memory:
        left = max(PAGE - cut, 0)
        assert memory.size == PAGE + left - max(cut - PAGE - 32, 0)
        assert memory.missing == (
            cut if cut <= PAGE else cut - PAGE if cut < PAGE + 32 else 0 if cut == PAGE + 32 else 1
        )
        assert memory.read(0x1000, PAGE - 1) == BODY[:-1]
        assert memory.present(u64(0x8000 + left)).tolist() == [False]


BOTH = GOOD + record(b"EMiL", 1, 0x8000, 0x8FFF) + BODY


@pytest.mark.parametrize(
    ("data", "repairs"),
    [
        (BOTH, []),
        (BOTH + bytes(1), ["1 zero bytes behind the last record are left out"]),
        (BOTH + bytes(5000), ["5000 zero bytes behind"]),
        (BOTH[len(GOOD) :] + GOOD, ["not in the order of their addresses"]),
        (BOTH + GOOD, ["not in the order", "1 records of ranges that stand in it before"]),
        (BOTH + BOTH + bytes(32), ["32 zero bytes", "not in the order", "2 records of ranges"]),
    ],
)
def test_what_can_be_repaired_is_read_and_said(data: bytes, repairs: list[str], tmp_path: Path) -> None:
    with open_image(put(tmp_path, data)) as memory:
        assert len(memory.repairs) == len(repairs)
        for told, words in zip(memory.repairs, repairs, strict=True):
            assert words in told
        assert memory.ranges == (Range(0x1000, PAGE), Range(0x8000, PAGE))
        assert memory.read(0x8000, PAGE) == memory.read(0x1000, PAGE) == BODY
        assert memory.missing == 0


def test_headers_and_layouts(tmp_path: Path) -> None:
    source = MappedFile(put(tmp_path, BOTH))
    assert read_header(source, len(GOOD)) == Record(0x8000, PAGE, len(GOOD) + 32, False)
    assert [one.offset for one in read_layout(source, False, None).segments] == [32, len(GOOD) + 32]
    assert "lacks 7 bytes" in str(truncated(source, 32, 7))


def test_a_file_cut_before_any_memory_is_no_image(tmp_path: Path) -> None:
    for size in (4, 31, 32):
        with pytest.raises(ImageFormatError, match="no memory in this image"):
            open_image(put(tmp_path, GOOD[:size]), allow_truncated=True)


def test_a_compressed_record_after_plain_ones(tmp_path: Path) -> None:
    with open_image(
        put(tmp_path, lime(SMALL) + avml_block(0x100000, BODY) + lime([(0x101000, BODY)])), cache=tmp_path
    ) as memory:
        assert memory.format == "AVML"
        for pa, data in [*SMALL, (0x100000, BODY), (0x101000, BODY)]:
            assert memory.read(pa, len(data)) == data


def test_more_ranges_than_ram_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memir.image.layout.MAX_SEGMENTS", 100)
    parts = [(one * 16, b"x") for one in range(101)]
    with open_image(put(tmp_path, lime(parts[:100]))) as memory:
        assert len(memory.ranges) == 100
    with pytest.raises(ImageFormatError, match=f"more than 100 separate ranges .the next at {16 * 100:#x}"):
        open_image(put(tmp_path, lime(parts)))
    assert MAX_SEGMENTS == 1 << 20


def test_fuzz(tmp_path: Path) -> None:
    seeds = [lime(SMALL), lime(THREE[:1]), lime([(one * PAGE, b"ab") for one in range(40)])]
    opened = 0
    for number, data in enumerate(mutations(seeds, cases())):
        path = put(tmp_path, data)
        try:
            with open_image(path, allow_truncated=bool(number % 2), cache=tmp_path) as memory:
                assert memory.size <= len(data)
                for pa, view in memory.views():
                    assert memory.read(pa, len(view)) == view.tobytes()
                opened += 1
        except ImageError as error:
            assert str(path) in str(error)
    assert opened > cases() // 20


A, B = b"A" * PAGE, b"B" * PAGE


@pytest.mark.parametrize(
    ("parts", "expected", "again"),
    [
        ([(0x1000, A), (0x1800, B)], [(0x1000, A + B[0x800:])], 0x800),
        ([(0x1800, B), (0x1000, A)], [(0x1000, A + B[0x800:])], 0x800),
        ([(0x1000, A * 4), (0x2000, B)], [(0x1000, A * 4)], PAGE),
        ([(0x1000, A * 4), (0x2000, B), (0x4800, B), (0x8000, B)], [(0x1000, A * 4 + B[0x800:]), (0x8000, B)], 0x1800),
    ],
)
def test_records_that_overlap(parts: Parts, expected: Parts, again: int, tmp_path: Path) -> None:
    """A range that was read twice is there once, as the record has it that begins lower; how much that is, is said."""
    with open_image(put(tmp_path, lime(parts))) as memory:
        assert memory.ranges == tuple(Range(start, len(data)) for start, data in expected)
        for start, data in expected:
            assert memory.read(start, len(data)) == data
        assert memory.missing == 0
        told = f"{again} bytes stand in it twice: those of the record that begins lower are read"
        assert memory.repairs[-1] == told


def test_bytes_behind_the_last_record_that_are_none(tmp_path: Path) -> None:
    """Refused, or left out and said where a part will do; a file that begins with none is no image either way."""
    path = put(tmp_path, BOTH + b"\xff" * 100)
    with pytest.raises(ImageFormatError, match=f"at offset {len(BOTH):#x}: no LiME or AVML record"):
        open_image(path)
    with open_image(path, allow_truncated=True) as memory:
        assert memory.ranges == (Range(0x1000, PAGE), Range(0x8000, PAGE))
        assert memory.repairs == (
            f"the last 100 bytes, from offset {len(BOTH):#x} on, are left out: they are no record",
        )
