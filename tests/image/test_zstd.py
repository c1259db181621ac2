# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
import struct
from pathlib import Path

import numpy as np
import pytest

from memir.errors import ImageError, ImageFormatError, MemirError, TruncatedImageError
from memir.image import zstd as z
from memir.image.behind import Behind
from memir.image.open import open_image
from memir.image.source import MappedFile
from tests.fuzz import cases, mutations
from tests.image.files import PAGE, THREE, elf, lime, noise, put, seek_table, seekable, u64, zstd

DATA = noise(1 << 20)
SKIP = struct.pack("<II", 0x184D2A50, 5) + b"hello"
SMALL = noise(3 * PAGE)


def frames(folder: Path, data: bytes) -> list[z.Frame]:
    source = MappedFile(put(folder, data))
    return list(z.frames(source, Behind(source, "zstd", allow_truncated=False)))


def test_frames_and_blocks(tmp_path: Path) -> None:
    parts = [
        zstd(SMALL),
        zstd(SMALL, checksum=False),
        zstd(SMALL, size=False),
        zstd(bytes(1 << 20)),
        zstd(b""),
        zstd(noise(300 << 10)),
    ]
    found = frames(tmp_path, SKIP + parts[0] + SKIP + SKIP + b"".join(parts[1:]) + SKIP)
    assert [one.length for one in found] == [len(part) for part in parts]
    assert [one.content for one in found] == [len(SMALL), len(SMALL), -1, 1 << 20, 0, 300 << 10]
    assert found[0].offset == len(SKIP)
    assert found[1].offset == 3 * len(SKIP) + len(parts[0])


def test_magics_of_frames_without_data() -> None:
    """RFC 8878 section 3.1.2: sixteen magics, the last but one used for the seek table."""
    assert [z.is_skippable(0x184D2A50 + low) for low in (-1, 0, 14, 15, 16)] == [False, True, True, True, False]
    assert not z.is_skippable(z.MAGIC)


def test_what_a_frame_says_it_gives(tmp_path: Path) -> None:
    parts = [zstd(SMALL), zstd(SMALL, size=False), zstd(b""), SKIP, zstd(SMALL)[:5], b"\x28\xb5"]
    source = MappedFile(put(tmp_path, b"".join(parts)))
    starts = [sum(map(len, parts[:at])) for at in range(len(parts))]
    assert [z.content_of(source, start) for start in starts[:4]] == [len(SMALL), -1, 0, -1]
    for start in (starts[5], source.size - 1, source.size, 1):
        assert z.content_of(source, start) == -1
    cut = MappedFile(put(tmp_path, zstd(SMALL)[:5], "cut"))
    assert z.content_of(cut, 0) == -1


FRAME = zstd(SMALL)


@pytest.mark.parametrize("cut", [1, 4, 5, 100, len(FRAME) - 3, len(FRAME) - 5, len(FRAME) - 7])
def test_a_cut_frame(cut: int, tmp_path: Path) -> None:
    with pytest.raises(
        TruncatedImageError, match=f"zstd frame at offset {len(FRAME):#x} is cut off .*--allow-truncated"
    ):
        frames(tmp_path, FRAME + FRAME[:-cut])


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"garbage", ImageFormatError, "no zstd frame at offset 0x0"),
        (FRAME + SKIP[:-1], TruncatedImageError, "skippable frame runs to"),
        (FRAME + SKIP[:6], TruncatedImageError, f"offset {len(FRAME):#x} is cut off"),
        (FRAME[:4] + b"\xff" * 30, ImageFormatError, "zstd frame header at offset 0x0"),
        (
            b"\x28\xb5\x2f\xfd\x20\x05" + b"\x07\0\0" + bytes(9),
            ImageFormatError,
            "block at offset 0x6 is of the reserved type",
        ),
    ],
)
def test_bad_frames_say_what_and_where(data: bytes, kind: type[MemirError], words: str, tmp_path: Path) -> None:
    with pytest.raises(kind, match=words):
        frames(tmp_path, data)


@pytest.mark.parametrize("checksums", [False, True])
def test_the_seekable_format_is_unpacked_when_touched(checksums: bool, tmp_path: Path) -> None:
    path = put(tmp_path, seekable(DATA, 64 << 10, checksums=checksums))
    with open_image(path, cache=tmp_path) as memory:
        assert (memory.format, memory.container, memory.size) == ("raw", "zstd", 1 << 20)
        assert list(tmp_path.iterdir()) == [path]
        assert memory._lazy is not None
        before = int((memory._lazy._state == 2).sum())
        assert before == 1  # the first, to tell the format
        assert memory.read(0x2FFF8, 16) == DATA[0x2FFF8:0x30008]
        assert int((memory._lazy._state == 2).sum()) == 3
        assert memory.read(0, 1 << 20) == DATA


@pytest.mark.parametrize("maker", [lime, elf])
def test_formats_within_the_seekable_one(maker: object, tmp_path: Path) -> None:
    make = lime if maker is lime else elf
    with open_image(put(tmp_path, seekable(make(THREE), 10_000)), cache=tmp_path) as memory:
        for pa, data in THREE:
            assert memory.read(pa, len(data)) == data
        assert memory.gather(u64(0x4000), 8)[1].tolist() == [False]


def test_empty_frames_and_skippable_data_before_the_table(tmp_path: Path) -> None:
    one, empty, two = zstd(DATA[: 1 << 19]), zstd(b""), zstd(DATA[1 << 19 :])
    table = seek_table([(len(one), 1 << 19), (len(empty), 0), (len(SKIP), 0), (len(two), 1 << 19)])
    with open_image(put(tmp_path, one + empty + SKIP + two + table), cache=tmp_path) as memory:
        assert memory._lazy is not None
        assert memory.read(0, 1 << 20) == DATA


GOOD = [zstd(DATA[:1000]), zstd(DATA[1000:])]
PLAIN = b"".join(GOOD)


@pytest.mark.parametrize(
    "table",
    [
        seek_table([(len(GOOD[0]) + 1, 1000), (len(GOOD[1]), len(DATA) - 1000)]),
        seek_table([(len(GOOD[0]), 1000)]),
        seek_table([]),
        seek_table([(len(PLAIN), 65 << 20)]),
        seek_table([(len(PLAIN), 0)]),
        seek_table([(len(PLAIN), len(DATA))], descriptor=0x40),
        struct.pack("<II", 0x184D2A5E, 9) + struct.pack("<IBI", 1000, 0, 0x8F92EAB1),
        struct.pack("<II", 0x184D2A5E, 9) + struct.pack("<IBI", 2**32 - 1, 0, 0x8F92EAB1),
        struct.pack("<II", 0x184D2A5D, 9) + struct.pack("<IBI", 0, 0, 0x8F92EAB1),
    ],
)
def test_a_table_that_does_not_fit_is_not_used(table: bytes, tmp_path: Path) -> None:
    source = MappedFile(put(tmp_path, PLAIN + table))
    assert z.seekable(source, tmp_path) is None
    with open_image(tmp_path / "image", cache=tmp_path) as memory:
        assert memory.read(0, 1 << 20) == DATA


def test_damage_in_a_frame_is_found_when_it_is_touched(tmp_path: Path) -> None:
    data = bytearray(seekable(DATA, 256 << 10))
    second = frames(tmp_path, bytes(data))[1]
    data[second.offset + 5000] ^= 1
    path = put(tmp_path, bytes(data))
    with open_image(path, cache=tmp_path) as memory:
        assert memory.read(0, 256 << 10) == DATA[: 256 << 10]
        with pytest.raises(ImageFormatError, match=f"{path}: zstd frame at offset {second.offset:#x} is damaged"):
            memory.read((256 << 10) + 5, 1)


@pytest.mark.parametrize(
    ("frame", "says", "words"),
    [
        (zstd(DATA[:5000]), 6000, "says it gives 5000 bytes, the seek table says 6000"),
        (zstd(DATA[:5000], size=False), 6000, "gave 5000 bytes, not 6000"),
        (zstd(DATA[:5000], size=False), 4000, "is damaged"),
        (
            FRAME[:4] + b"\xe4" + struct.pack("<Q", 1 << 60) + bytes(20),
            6000,
            f"says it gives {1 << 60} bytes",
        ),
        (zstd(DATA[:3000]) + zstd(DATA[:3000]), 3000, "is damaged"),
        (b"\xff" * 40, 6000, "zstd frame header at offset"),
    ],
)
def test_a_frame_that_is_not_as_the_table_says(frame: bytes, says: int, words: str, tmp_path: Path) -> None:
    data = (
        GOOD[0]
        + GOOD[1]
        + frame
        + seek_table([(len(GOOD[0]), 1000), (len(GOOD[1]), len(DATA) - 1000), (len(frame), says)])
    )
    with open_image(put(tmp_path, data), cache=tmp_path) as memory:
        assert memory.read(0, len(DATA)) == DATA
        with pytest.raises(ImageFormatError, match=words):
            memory.read(len(DATA), 1)


def test_fuzz_frames(tmp_path: Path) -> None:
    seeds = [
        FRAME + SKIP + FRAME,
        zstd(noise(200_000), checksum=False),
        zstd(bytes(1 << 20)) + zstd(b""),
        SKIP * 3 + zstd(b"x", size=False),
    ]
    whole = 0
    for data in mutations(seeds, cases()):
        if not data:
            continue
        try:
            found = frames(tmp_path, data)
        except ImageError as error:
            assert str(tmp_path) in str(error)
            continue
        whole += 1
        assert sum(one.length for one in found) <= len(data)
    assert whole > cases() // 20


def test_fuzz_seek_table(tmp_path: Path) -> None:
    rng = random.Random(7)
    seeds = [
        seekable(noise(20_000), 4096),
        seekable(noise(9000), 1000, checksums=True),
        b"".join(GOOD[:1]) + seek_table([(len(GOOD[0]), 1000)]),
    ]
    lazy = 0
    for data in mutations(seeds, cases()):
        if not data:
            continue
        try:
            found = z.seekable(MappedFile(put(tmp_path, data)), tmp_path)
            if found is not None and found.lazy is not None:
                lazy += 1
                found.lazy.ensure(np.array([rng.randrange(found.size) for _ in range(3)]), 1)
                found.lazy.ensure_range(0, min(found.size, 1 << 20))
        except ImageError as error:
            assert str(tmp_path) in str(error)
    assert lazy > cases() // 20
