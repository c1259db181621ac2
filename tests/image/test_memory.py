# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from memir.errors import AbsentMemoryError, ImageFormatError
from memir.image.layout import Layout, Range, Segment
from memir.image.memory import PhysicalMemory
from memir.image.open import open_image
from memir.image.source import MappedFile
from tests.fuzz import cases
from tests.image.files import PAGE, THREE, Parts, avml, elf, lime, noise, put, raw, u64

SECOND, SEAM, END = 0x100000, 0x100000 + 70 * PAGE, 0x100000 + 75 * PAGE
MAKERS: dict[str, Callable[[Parts], bytes]] = {
    "lime": lime,
    "avml": avml,
    "elf": elf,
    "odd elf": lambda parts: elf(parts, odd=3),
}


def reader(parts: Parts, absent: tuple[int, ...] = ()) -> Callable[[int, int], bytes | None]:
    """Someone else's reader, which has not the pages at these addresses."""

    def read(pa: int, size: int) -> bytes | None:
        if any(page < pa + size and pa < page + PAGE for page in absent):
            return None
        for start, data in parts:
            if start <= pa and pa + size <= start + len(data):
                return data[pa - start : pa - start + size]
        raise AssertionError(f"{pa:#x} + {size} is in no range")

    return read


@pytest.fixture(params=[*MAKERS, "reader"])
def memory(request: pytest.FixtureRequest, tmp_path: Path) -> PhysicalMemory:
    """The three ranges, in every format."""
    if request.param == "reader":
        ranges = [Range(pa, len(data)) for pa, data in THREE]
        return PhysicalMemory.from_reader(ranges, reader(THREE), "a reader", "tool", tmp_path)
    return open_image(put(tmp_path, MAKERS[request.param](THREE)), cache=tmp_path)


def truth(pa: int, size: int) -> tuple[bytes, bool]:
    """What must come out of the three ranges."""
    whole = bytearray(END + size)
    known = bytearray(END + size)
    for start, data in THREE:
        whole[start : start + len(data)] = data
        known[start : start + len(data)] = b"\1" * len(data)
    ok = pa < END and all(known[pa : pa + size])
    return (bytes(whole[pa : pa + size]) if ok else bytes(size)), ok


def test_what_is_there(memory: PhysicalMemory) -> None:
    assert memory.ranges == (Range(0x1000, 3 * PAGE), Range(SECOND, 75 * PAGE))
    assert (memory.size, memory.end, memory.missing) == (78 * PAGE, END, 0)
    edges = u64(0, 0xFFF, 0x1000, 0x3FFF, 0x4000, SECOND - 1, SECOND, SEAM - 1, SEAM, END - 1, END, 2**64 - 1)
    assert memory.present(edges).tolist() == [
        False,
        False,
        True,
        True,
        False,
        False,
        True,
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8, 16, 100, PAGE, 3 * PAGE])
def test_gathers_at_every_edge(memory: PhysicalMemory, size: int) -> None:
    edges = [0x1000, 0x2000, 0x4000, SECOND, SEAM, END]
    near = [edge + by for edge in edges for by in (-size - 1, -size, 1 - size, -8, -7, -1, 0, 1, 8) if edge + by >= 0]
    rows, ok = memory.gather(u64(*near), size)
    assert rows.shape == (len(near), size)
    assert rows.dtype == np.uint8
    for pa, row, there in zip(near, rows, ok, strict=True):
        assert (row.tobytes(), bool(there)) == truth(pa, size), hex(pa)


@pytest.mark.parametrize("dtype", ["u1", "<u2", "<u4", "<u8", "<i4", "<i8", "<f8", ">u4"])
def test_words_at_every_edge(memory: PhysicalMemory, dtype: str) -> None:
    size = np.dtype(dtype).itemsize
    edges = [0x1000, 0x4000, SECOND, SEAM, END]
    for near in (
        [edge + by for edge in edges for by in range(-9, 9)],
        [edge + by for edge in edges for by in (-16, -8, 0, 8)],
    ):
        values, ok = memory.gather_as(u64(*near), dtype)
        assert values.dtype == np.dtype(dtype)
        for row, pa in enumerate(near):
            wanted, present = truth(pa, size)
            assert bool(ok[row]) == present, hex(pa)
            assert values[row : row + 1].tobytes() == wanted, hex(pa)
            if dtype == "<u8":
                assert memory.word(pa) == (int(values[row]) if present else None), hex(pa)


def test_hostile_addresses(memory: PhysicalMemory) -> None:
    rng = random.Random(3)
    hostile = (
        [2**64 - by for by in range(1, 20)] + [2**63, 2**63 - 1, 2**56, 0] + [rng.getrandbits(64) for _ in range(200)]
    )
    for size in (1, 8, 4096, 1 << 16):
        rows, ok = memory.gather(u64(*hostile), size)
        assert not ok.any()
        assert not rows.any()
    values, ok = memory.gather_as(u64(*hostile), "<u8")
    assert not ok.any()
    assert not values.any()
    assert {memory.word(pa) for pa in hostile} == {None}
    with pytest.raises(AbsentMemoryError, match="0xffffffffffffffff"):
        memory.read(2**64 - 1, 1)
    for pa, size in ((-1, 8), (2**64 - 4, 8), (2**70, 1), (0x1000, 1 << 60), (0x1000, 2**64), (0, -1)):
        with pytest.raises(AbsentMemoryError, match="not in the image"):
            memory.read(pa, size)


def test_random_reads_agree(memory: PhysicalMemory) -> None:
    rng = random.Random(5)
    for _ in range(cases(60, 2000)):
        pa, size = rng.randrange(END + 0x3000), rng.choice((1, 8, 100, 5000, 20000))
        wanted, there = truth(pa, size)
        data, holes = memory.read_partial(pa, size)
        assert len(data) == size
        assert (not holes) == there
        if there:
            assert data == wanted == memory.read(pa, size)
        for hole in holes:
            assert not data[hole.start - pa : hole.end - pa].strip(b"\0")
            assert not memory.present(u64(hole.start, hole.end - 1)).any()


def test_no_addresses_no_rows(memory: PhysicalMemory) -> None:
    assert memory.gather(u64(), 8)[0].shape == (0, 8)
    assert memory.gather(u64(0x1000), 0)[0].shape == (1, 0)
    assert memory.gather_as(u64(), "<u8")[0].shape == (0,)
    assert memory.gather_words(u64(), 4)[0].shape == (0, 4)
    assert memory.read(0x1000, 0) == memory.read_partial(0, 0)[0] == b""


def test_page_tables_words(memory: PhysicalMemory) -> None:
    words, ok = memory.gather_words(u64(0x1000, 0x4000, SEAM - PAGE, SEAM - 8), 512)
    assert words.shape == (4, 512)
    assert words.dtype == np.uint64
    assert ok.tolist() == [True, False, True, True]
    assert words[0].tobytes() == THREE[0][1][:PAGE]
    assert words[3].tobytes() == THREE[1][1][-8:] + THREE[2][1][: PAGE - 8]


@pytest.mark.parametrize("limit", [1, 7, PAGE, 3 * PAGE + 1, 16 << 20])
def test_views_are_all_memory_in_order(memory: PhysicalMemory, limit: int) -> None:
    if limit < PAGE:
        low, high = SEAM - 20, SEAM + 20
    else:
        low, high = 0, memory.end
    seen = bytearray()
    last = 0
    for pa, view in memory.views(limit, low, high):
        assert pa >= last
        assert 0 < len(view) <= limit
        assert view.tobytes() == memory.read(pa, len(view))
        seen += view.tobytes()
        last = pa + len(view)
    assert bytes(seen) == b"".join(data for _, data in THREE) if low == 0 else truth(low, 40)[0]


@pytest.mark.parametrize(("low", "high"), [(5, 5), (9, 3), (0x4000, SECOND), (END, 2**64), (2**64, 2**65), (-5, 0)])
def test_views_of_nothing(memory: PhysicalMemory, low: int, high: int) -> None:
    assert list(memory.views(lo=low, hi=high)) == []


def test_views_are_no_copies_of_a_plain_file(tmp_path: Path) -> None:
    with open_image(put(tmp_path, lime(THREE))) as memory:
        for _, view in memory.views():
            assert not view.flags.owndata
            assert not view.flags.writeable
            assert np.shares_memory(view, memory._data)


def test_holes_of_a_sparse_file_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as out:
        out.truncate(64 << 20)
        for at in (5 * PAGE, (33 << 20) + 100, (64 << 20) - 1):
            out.seek(at)
            out.write(b"x")
    with open_image(path) as memory:
        views = list(memory.views(skip_zeros=True))
        assert sum(len(view) for _, view in views) < 8 << 20
        assert all(pa % PAGE == 0 and len(view) % PAGE == 0 for pa, view in views)
        found = [pa + int(at) for pa, view in views for at in np.flatnonzero(view)]
        assert found == [5 * PAGE, (33 << 20) + 100, (64 << 20) - 1]
        assert sum(len(view) for _, view in memory.views()) == 64 << 20
        # a hole of the file system is memory that is zero; absent it is not
        assert memory.gather(u64(1 << 20), 8)[1].all()


def test_holes_that_lie_askew_to_pages(tmp_path: Path) -> None:
    """LiME's header moves memory by 32 bytes in the file: whole pages of memory come all the same, none twice."""
    path = tmp_path / "sparse"
    data = {0x1000 + 20 * PAGE: 0x41, 0x1000 + (9 << 20) + PAGE - 1: 0x42}
    with path.open("wb") as out:
        out.write(lime([(0x1000, b"x")])[:12] + (0x1000 + (16 << 20) - 1).to_bytes(8, "little"))
        out.seek(0)
        out.write(
            b"EMiL\1\0\0\0"
            + (0x1000).to_bytes(8, "little")
            + (0x1000 + (16 << 20) - 1).to_bytes(8, "little")
            + bytes(8)
        )
        out.truncate(32 + (16 << 20))
        for pa, byte in data.items():
            out.seek(32 + pa - 0x1000)
            out.write(bytes([byte]))
    with open_image(path) as memory:
        last = 0
        found: dict[int, int] = {}
        for pa, view in memory.views(1 << 20, skip_zeros=True):
            assert pa >= last
            assert pa % PAGE == 0
            last = pa + len(view)
            found |= {pa + int(at): int(view[at]) for at in np.flatnonzero(view)}
        assert found == data


def test_a_reader_with_absent_pages(tmp_path: Path) -> None:
    parts = [(0x1000, noise(5 * PAGE, 1)), (0x9C00, noise(40 * PAGE + 0x123, 2))]
    absent = (0x3000, 0xA000, 0xB000, 0x20000)
    ranges = [Range(pa, len(data)) for pa, data in parts]
    memory = PhysicalMemory.from_reader(ranges, reader(parts, absent), "a reader", "tool", tmp_path)
    whole = dict.fromkeys(range(0x1000, 0x6000)) | dict.fromkeys(range(0x9C00, 0x9C00 + len(parts[1][1])))
    there = [pa for pa in whole if not any(page <= pa < page + PAGE for page in absent)]
    assert np.array_equal(np.flatnonzero(memory.present(np.arange(0x40000, dtype=np.uint64))), there)
    seen = [pa + at for pa, view in memory.views(10_000) for at in range(len(view))]
    assert seen == there
    rows, ok = memory.gather(u64(0x2000, 0x2FF8, 0x2FF9, 0x2000, 0x4000, 0x9C00, 0xC000), 8)
    assert ok.tolist() == [True, True, False, True, True, True, True]
    assert rows[6].tobytes() == parts[1][1][0xC000 - 0x9C00 :][:8]
    # a row over three pages of which only the middle one is absent
    assert memory.gather(u64(0x2800), 3 * PAGE)[1].tolist() == [False]
    assert memory.gather(u64(0x1000), 6 * PAGE)[1].tolist() == [False]
    data, holes = memory.read_partial(0x9F00, 0x2200)
    assert holes == [Range(0xA000, 0x2000)]
    assert data == parts[1][1][0x300:0x400] + bytes(0x2000) + parts[1][1][0x2400:0x2500]


def test_a_reader_that_gives_less_than_asked(tmp_path: Path) -> None:
    """A short answer is an absent page, not zeros."""

    def read(pa: int, size: int) -> bytes:
        return b"z" * min(size, max(0, 0x2800 - pa))

    memory = PhysicalMemory.from_reader([Range(0x1000, 0x3000)], read, "a reader", "tool", tmp_path)
    assert memory.present(u64(0x1000, 0x1FFF, 0x2000, 0x3000)).tolist() == [True, True, False, False]
    assert memory.read(0x1000, PAGE) == b"z" * PAGE


@pytest.mark.parametrize(
    "ranges",
    [
        [],
        [Range(0x1000, 0)],
        [Range(0x2000, 0x1000), Range(0x1000, 0x1000)],
        [Range(0, 0x2000), Range(0x1000, 1)],
        [Range(2**64 - 4, 8)],
    ],
)
def test_a_reader_with_impossible_ranges(ranges: list[Range], tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match="a reader: "):
        PhysicalMemory.from_reader(ranges, lambda pa, size: bytes(size), "a reader", "tool", tmp_path)


def test_adjacent_segments_far_apart_in_the_file(tmp_path: Path) -> None:
    """Memory that goes on elsewhere in the file, backwards even, reads as one."""
    data = noise(8 * PAGE, 9)
    path = put(tmp_path, data[4 * PAGE :] + data[: 4 * PAGE])
    source = MappedFile(path)
    memory = PhysicalMemory(
        Layout("test", [Segment(0, 4 * PAGE, 4 * PAGE), Segment(4 * PAGE, 4 * PAGE, 0)], source, source)
    )
    assert memory.ranges == (Range(0, 8 * PAGE),)
    every = np.arange(8 * PAGE, dtype=np.uint64)
    rows, ok = memory.gather(every, 16)
    assert ok.tolist() == [True] * (8 * PAGE - 15) + [False] * 15
    wanted = np.lib.stride_tricks.sliding_window_view(np.frombuffer(data, np.uint8), 16)
    assert np.array_equal(rows[: len(wanted)], wanted)
    assert memory.read(0, 8 * PAGE) == data


def test_many_segments(tmp_path: Path) -> None:
    """Every other page, as a hostile or a very torn image has them."""
    count = 5000
    data = noise(PAGE, 4)
    memory = open_image(put(tmp_path, elf([(2 * PAGE * one, data[:64]) for one in range(count)])))
    assert len(memory.ranges) == count
    pa = np.arange(count, dtype=np.uint64) * np.uint64(2 * PAGE)
    values, ok = memory.gather_as(pa + np.uint64(8), "<u8")
    assert ok.all()
    assert set(values.tolist()) == {int.from_bytes(data[8:16], "little")}
    assert not memory.present(pa + np.uint64(64)).any()
    assert memory.read(2 * PAGE * (count - 1), 64) == data[:64]


def test_a_raw_image_with_a_base(tmp_path: Path) -> None:
    data = noise(1 << 20, 6)
    with open_image(put(tmp_path, data), base=0x4000_0000) as memory:
        assert memory.ranges == (Range(0x4000_0000, 1 << 20),)
        assert memory.read(0x4000_1000, 32) == data[PAGE : PAGE + 32]
        assert not memory.present(u64(0, 0x3FFF_FFFF, 0x4010_0000)).any()


def test_padded_raw_has_zeros_where_lime_has_holes(tmp_path: Path) -> None:
    with open_image(put(tmp_path, raw(THREE) + bytes(1 << 20))) as memory:
        assert memory.gather(u64(0x8000), 8)[1].tolist() == [True]
        assert memory.read(SEAM - 8, 16) == truth(SEAM - 8, 16)[0]


def test_sha256_and_identity(tmp_path: Path) -> None:
    import hashlib

    data = lime([(0, noise(20 << 20))])
    path = put(tmp_path, data)
    steps: list[tuple[str, int, int]] = []
    with open_image(path) as memory:
        assert memory.sha256(lambda *step: steps.append(step)) == hashlib.sha256(data).hexdigest()
        assert steps == [("hashing", 16 << 20, len(data)), ("hashing", len(data), len(data))]
        assert memory.identity() == open_image(path).identity() != open_image(put(tmp_path, data, "copy")).identity()


def test_memory_behind_the_end(tmp_path: Path) -> None:
    """What extends a memory is read at its own addresses, and is none of the image's RAM."""
    source = MappedFile(put(tmp_path, noise(4 * PAGE, 11)))
    memory = PhysicalMemory(Layout("test", [Segment(0, 4 * PAGE, 0)], source, source))
    far = noise(2 * PAGE, 12)
    start = 1 << 55

    def read(pa: int, size: int) -> bytes | None:
        return far[pa - start : pa - start + size] if pa + size <= start + PAGE else None

    memory.extend(PhysicalMemory.from_reader([Range(start, 2 * PAGE)], read, "far", "far", tmp_path))
    pa = np.array([PAGE, start, start + 8, start + PAGE, 1 << 54], np.uint64)
    assert memory.present(pa).tolist() == [True, True, True, False, False]
    rows, ok = memory.gather(pa, 16)
    assert ok.tolist() == [True, True, True, False, False] and rows[2].tobytes() == far[8:24]
    assert memory.read_partial(start, 64) == (far[:64], [])
    assert memory.read(start, 64) == far[:64]
    assert (memory.end, memory.size, memory.ranges) == (4 * PAGE, 4 * PAGE, (Range(0, 4 * PAGE),))
