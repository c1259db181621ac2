# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import random
import struct
import subprocess
from pathlib import Path

import cramjam
import numpy as np
import pytest

from memir.errors import ImageError, ImageFormatError, MemirError, TruncatedImageError
from memir.image.layout import Range
from memir.image.memory import PhysicalMemory
from memir.image.open import open_image
from tests.fuzz import cases, mutations
from tests.image.files import PAGE, THREE, Parts, avml, avml_block, lime, noise, put, record, snappy, u64

DATA = Path(__file__).parent / "data"
SMALL: Parts = [(0x1000, noise(100, 1)), (0x3000, noise(PAGE, 2)), (0x4000, noise(50, 3))]
BODY = noise(3 * PAGE)


def loaded(memory: PhysicalMemory) -> int:
    assert memory._lazy is not None
    return int((memory._lazy._state == 2).sum())


def test_ranges_and_bytes_that_are_unpacked_when_touched(tmp_path: Path) -> None:
    with open_image(put(tmp_path, avml(THREE)), cache=tmp_path) as memory:
        assert (memory.format, memory.container, memory.missing, memory.holes_may_be_zero) == (
            "AVML",
            None,
            0,
            True,
        )
        assert memory.ranges == (Range(0x1000, 3 * PAGE), Range(0x100000, 75 * PAGE))
        assert loaded(memory) == 0
        # the seam between two records: one chunk of each
        assert memory.read(0x100000 + 70 * PAGE - 4, 8) == THREE[1][1][-4:] + THREE[2][1][:4]
        assert loaded(memory) == 2
        for pa, data in THREE:
            assert memory.read(pa, len(data)) == data
        assert loaded(memory) == 1 + 5 + 1


def test_blocks_of_zeros_that_are_left_out_are_absent(tmp_path: Path) -> None:
    parts = [(0, BODY), (32 << 20, BODY)]
    with open_image(put(tmp_path, avml(parts)), cache=tmp_path) as memory:
        assert memory.present(u64(0, 16 << 20, 32 << 20)).tolist() == [True, False, True]


def block(stream: bytes, size: int = 3 * PAGE, length: int | None = None) -> bytes:
    tail = struct.pack("<Q", len(stream) if length is None else length)
    return record(b"AVML", 2, 0x1000, 0x1000 + size - 1) + stream + tail


def crc(data: bytes) -> bytes:
    """The checksum of a stored chunk, taken from the encoder's own stream."""
    stream = bytes(cramjam.snappy.compress(data))
    return stream[14:18]


STORED = crc(BODY) + BODY
STREAM = bytes(cramjam.snappy.compress(BODY))
PIECES = [BODY[at : at + 500] for at in range(0, len(BODY), 500)]


def test_streams_that_are_lawful_but_unusual(tmp_path: Path) -> None:
    piecewise = [(1, crc(one) + one) for one in PIECES]
    padded = [item for one in piecewise for item in ((0xFE, b"pad"), one)]
    for stream in (
        snappy((1, STORED)),
        snappy((0xFE, b"padding"), (1, STORED)),
        snappy(*piecewise),
        snappy(*padded),
        snappy((0xFF, b"sNaPpY"), (1, STORED)),
    ):
        with open_image(put(tmp_path, block(stream)), cache=tmp_path) as memory:
            assert memory.read(0x1000, len(BODY)) == BODY


def test_tiny_chunks_share_an_entry(tmp_path: Path) -> None:
    """A hostile file of one-byte chunks has an index no longer than its data needs."""
    data = noise(20_000)
    stream = snappy(*((1, crc(data[at : at + 1]) + data[at : at + 1]) for at in range(len(data))))
    with open_image(put(tmp_path, block(stream, len(data))), cache=tmp_path) as memory:
        assert memory._lazy is not None
        assert len(memory._lazy._state) == 1
        assert memory.read(0x1000, len(data)) == data


GOOD = block(STREAM)
AT = f"{len(GOOD):#x}"
CHUNK_AT = f"{32 + 10:#x}"


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (block(STREAM, length=5), ImageFormatError, ["0x20", f"ends at {len(GOOD) - 8:#x}", "5 bytes long"]),
        (
            block(STREAM, 2 * PAGE),
            ImageFormatError,
            [CHUNK_AT, f"claims {3 * PAGE} bytes, {2 * PAGE} at most"],
        ),
        (block(snappy((2, STORED))), ImageFormatError, [CHUNK_AT, "reserved type 0x02"]),
        (block(snappy((0x7F, STORED))), ImageFormatError, [CHUNK_AT, "reserved type 0x7f"]),
        (block(snappy((1, STORED))[10:]), ImageFormatError, ["0x20", "does not begin as a snappy stream"]),
        (block(snappy((1, b"ab"))), ImageFormatError, [CHUNK_AT, "claims -2 bytes"]),
        (block(snappy((1, bytes(4)))), ImageFormatError, [CHUNK_AT, "claims 0 bytes"]),
        (block(snappy((0, bytes(4)))), ImageFormatError, [CHUNK_AT, "claims -1 bytes"]),
        (block(snappy((0, bytes(4) + b"\xff" * 20))), ImageFormatError, [CHUNK_AT, "claims -1 bytes"]),
        (
            block(snappy((0, bytes(4) + b"\xff\xff\xff\xff\x0f"))),
            ImageFormatError,
            [CHUNK_AT, "claims 4294967295 bytes"],
        ),
        (
            block(snappy((1, bytes(70_004))), 80_000),
            ImageFormatError,
            [CHUNK_AT, "claims 70000 bytes, 65536 at most"],
        ),
        (GOOD + b"XXXX" + bytes(28), ImageFormatError, [AT, "no LiME or AVML record"]),
        (GOOD + record(b"AVML", 1, 0x9000, 0x9FFF), ImageFormatError, [AT, "magic 0x4c4d5641, version 1"]),
        (GOOD + GOOD[:10], TruncatedImageError, [AT, "record header", "--allow-truncated"]),
        (GOOD[:-4], TruncatedImageError, ["0x20", "lacks 4 bytes"]),
        (GOOD[:-8], TruncatedImageError, ["0x20", "lacks 8 bytes"]),
        (GOOD[:-9], TruncatedImageError, ["0x20", f"lacks {3 * PAGE} bytes"]),
        (GOOD[:32], TruncatedImageError, ["0x20", f"lacks {3 * PAGE} bytes"]),
    ],
)
def test_bad_files_say_what_and_where(data: bytes, kind: type[MemirError], words: list[str], tmp_path: Path) -> None:
    path = put(tmp_path, data)
    with pytest.raises(kind) as caught:
        open_image(path, cache=tmp_path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_damage_in_a_chunk_is_found_when_it_is_touched(tmp_path: Path) -> None:
    data = bytearray(avml(THREE))
    begin = data.index(b"AVML", 4) + 32 + 10
    offset = begin + 4 + int.from_bytes(data[begin + 1 : begin + 4], "little")
    data[offset + 5000] ^= 0x40
    path = put(tmp_path, bytes(data))
    with open_image(path, cache=tmp_path) as memory:
        assert memory.read(0x1000, 3 * PAGE) == THREE[0][1]
        assert memory.read(0x100000, 0x10000) == THREE[1][1][:0x10000]
        for _ in range(2):
            with pytest.raises(ImageFormatError, match=f"{path}: snappy chunk at offset {offset:#x} is damaged"):
                memory.gather(u64(0x110000), 8)
        with pytest.raises(ImageFormatError, match="is damaged"):
            list(memory.views())
        assert memory.read(0x120000, 8) == THREE[1][1][0x20000:0x20008]


@pytest.mark.parametrize(("cut", "missing", "left"), [(5, 5, 3), (9, 3 * PAGE, 0), (len(GOOD) - 8, 24, 0)])
def test_a_cut_file_if_allowed(cut: int, missing: int, left: int, tmp_path: Path) -> None:
    moved = GOOD.replace(struct.pack("<QQ", 0x1000, 0x3FFF), struct.pack("<QQ", 0x4000, 0x6FFF))
    path = put(tmp_path, avml_block(0, BODY) + moved[:-cut])
    with open_image(path, cache=tmp_path, allow_truncated=True) as memory:
        assert memory.missing == missing
        assert memory.read(0, len(BODY)) == BODY
        assert memory.size == len(BODY) + left * PAGE


def test_zeros_between_torn_pages_cost_nothing(tmp_path: Path) -> None:
    data = bytes(8 << 20) + noise(PAGE) + bytes((8 << 20) - PAGE)
    with open_image(put(tmp_path, avml([(0, data)])), cache=tmp_path) as memory:
        assert memory.read(0, len(data)) == data
        assert memory._lazy is not None
        assert os.fstat(memory._lazy._scratch.fileno()).st_blocks * 512 <= 1 << 17


def real_parts() -> Parts:
    """What the file in data/ was made of, by the real tool's `avml convert`."""
    rng = random.Random(2024)
    first = b"".join(rng.choice((rng.randbytes(512) * 8, bytes(PAGE), b"pod " * 1024)) for _ in range(40))
    return [(0x1000, first), (0x100000, bytes(17 << 20) + first), (0x2000000, b"end" + bytes(PAGE - 3))]


def check_real(path: Path, cache: Path) -> None:
    with open_image(path, cache=cache) as memory:
        assert memory.format == "AVML"
        for pa, data in real_parts():
            for at in range(0, len(data), PAGE):
                page, there = memory.gather(u64(pa + at), PAGE)
                assert page.tobytes() == data[at : at + PAGE]
                assert there[0] or not any(data[at : at + PAGE])
        assert memory.present(u64(0x100000, 0x100000 + (16 << 20), 0x2000000)).tolist() == [False, True, True]


def test_a_file_of_the_real_tool(tmp_path: Path) -> None:
    check_real(DATA / "avml-0.21.avml", tmp_path)


def test_the_real_tool_today(tmp_path: Path, avml_program: Path) -> None:
    source = put(tmp_path, lime(real_parts()), "plain")
    made = tmp_path / "made"
    subprocess.run(
        [
            avml_program,
            "convert",
            "--source-format",
            "lime",
            "--format",
            "lime_compressed",
            source,
            made,
        ],
        check=True,
        timeout=60,
    )
    check_real(made, tmp_path)
    assert made.read_bytes() == (DATA / "avml-0.21.avml").read_bytes()


def test_fuzz(tmp_path: Path) -> None:
    seeds = [
        avml(SMALL),
        GOOD,
        avml([(0, noise(70_000))]),
        avml_block(0, b"a") + lime([(PAGE, BODY)]),
        block(snappy((1, STORED))),
    ]
    opened = 0
    for number, data in enumerate(mutations(seeds, cases())):
        path = put(tmp_path, data)
        try:
            with open_image(path, allow_truncated=bool(number % 2), cache=tmp_path) as memory:
                opened += 1
                assert memory.size < 1 << 20
                rows, ok = memory.gather(np.arange(0, 0x20000, 512, dtype=np.uint64), 700)
                assert not rows[~ok].any()
                for pa, view in memory.views():
                    assert memory.read(pa, len(view)) == view.tobytes()
        except ImageError as error:
            assert str(path) in str(error)
    assert opened > cases() // 20


def test_blocks_that_overlap(tmp_path: Path) -> None:
    """A page that was read twice is there once, as the block has it that begins lower; how much that is, is said."""
    path = tmp_path / "image"
    path.write_bytes(GOOD)
    with open_image(path) as memory:
        size = memory.size
        content = memory.read(0x1000, size)
    path.write_bytes(GOOD + avml_block(0x2000, noise(PAGE)))
    with open_image(path) as memory:
        assert (memory.ranges, memory.read(0x1000, size)) == ((Range(0x1000, size),), content)
        assert memory.repairs == ("4096 bytes stand in it twice: those of the record that begins lower are read",)
