# SPDX-License-Identifier: Apache-2.0
"""What follows packed data: left out and said in one line, for every packer; much of it only where a part will do."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable
from pathlib import Path

import lz4.frame  # type: ignore[import-untyped]  # the package has no types
import pytest

from memir.errors import ImageError, TruncatedImageError
from memir.image.behind import Behind, after_zeros
from memir.image.open import open_image
from memir.image.source import MappedFile
from tests.fuzz import cases, mutations
from tests.image.files import THREE, gz, lime, noise, put, seekable, zstd
from tests.image.test_streams import framed, tar, zipped

IMAGE = lime(THREE)
LARGE = lime([*THREE, (0x1000000, noise(1 << 20, 9))])  # an archive's member is an image from 1 MiB on
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gz,
    "zstd": zstd,
    "zstd, seekable": lambda data: seekable(data, 100_000),
    "xz": lambda data: lzma.compress(data, preset=0),
    "bzip2": lambda data: bz2.compress(data, 1),
    "lz4": lz4.frame.compress,
    "snappy": framed,
    "zip": lambda _: zipped({"node.lime": LARGE}),
    "tar": lambda _: tar({"node.lime": LARGE}),
}
PACKED = {kind: pack(IMAGE) for kind, pack in PACK.items()}
JOINED = ("gzip", "zstd", "xz", "bzip2", "lz4", "snappy")
HELLO = gz(b"hello")
TRAILING = {
    "a newline": b"\n",
    "text": b"-- \nsent by a mail program\n",
    "noise": noise(100_000, 77),
    "another packer's data": HELLO + lzma.compress(b"hello"),
    "nearly a start": b"\x1f\x8a\xfd7zXZ\1BZh0\x04\x22\x4d\x17PK\3\3\x28\xb5\x2f\xfe",
    "ones": b"\xff" * 5000,
}


def read_whole(path: Path, cache: Path, allow_truncated: bool = False) -> tuple[tuple[str, ...], int]:
    """(repairs, missing) of an image whose ranges are all there."""
    with open_image(path, cache=cache, allow_truncated=allow_truncated) as memory:
        assert memory.format == "LiME"
        for pa, data in THREE:
            assert memory.read(pa, len(data)) == data
        return memory.repairs, memory.missing


def container(kind: str) -> str:
    return kind.removesuffix(", seekable")


def line(size: int, kind: str) -> str:
    return f"{size} bytes behind the {container(kind)} data are left out: they are none of it"


@pytest.mark.parametrize("kind", PACKED)
@pytest.mark.parametrize("what", TRAILING)
def test_what_follows_is_left_out_and_said(kind: str, what: str, tmp_path: Path) -> None:
    trailing = TRAILING[what]
    if kind == "gzip":
        trailing = trailing.removeprefix(HELLO)  # a member like any other
    path = put(tmp_path, PACKED[kind] + trailing)
    for _ in range(2):  # the second time from the cache
        assert read_whole(path, tmp_path) == ((line(len(trailing), kind),), 0)


@pytest.mark.parametrize("kind", PACKED)
def test_zeros_behind_are_padding(kind: str, tmp_path: Path) -> None:
    """As many as a tape's or a preallocated file's; what follows them counts alone.

    The tools of zip and snappy do not know of such padding.
    """
    said = () if kind not in ("zip", "snappy") else (line(70_000, kind),)
    assert read_whole(put(tmp_path, PACKED[kind] + bytes(70_000), "a"), tmp_path) == (said, 0)
    repairs, _ = read_whole(put(tmp_path, PACKED[kind] + bytes(70_000) + b"end", "b"), tmp_path)
    assert repairs == (line(70_003 if said else 3, kind),)


@pytest.mark.parametrize("kind", PACKED)
def test_much_is_read_only_where_a_part_will_do(kind: str, tmp_path: Path) -> None:
    """A MiB may be what is left of a further part whose header is damaged: named, with the offset."""
    path = put(tmp_path, PACKED[kind] + b"q" * (1 << 20))
    told = f"the 1048576 bytes from offset {len(PACKED[kind]):#x} on are no {container(kind)} data.*--allow-truncated"
    with pytest.raises(TruncatedImageError, match=told):
        open_image(path, cache=tmp_path)
    assert read_whole(path, tmp_path, allow_truncated=True) == ((line(1 << 20, kind),), 1)
    with pytest.raises(TruncatedImageError):
        open_image(path, cache=tmp_path)


@pytest.mark.parametrize("kind", JOINED)
def test_parts_and_what_follows_them(kind: str, tmp_path: Path) -> None:
    half = len(IMAGE) // 2
    pack = PACK[kind]
    path = put(tmp_path, pack(IMAGE[:half]) + pack(IMAGE[half:]) + b"end")
    assert read_whole(path, tmp_path) == ((line(3, kind),), 0)


@pytest.mark.parametrize("kind", JOINED)
def test_a_further_part_that_is_cut_is_no_trailing_data(kind: str, tmp_path: Path) -> None:
    half = len(IMAGE) // 2
    first, second = PACK[kind](IMAGE[:half]), PACK[kind](IMAGE[half:])
    for size in (1, 3, len(second) // 2):
        path = put(tmp_path, first + second[:size], str(size))
        with pytest.raises(TruncatedImageError, match="cut off"):
            open_image(path, cache=tmp_path)
        with open_image(path, cache=tmp_path, allow_truncated=True) as memory:
            assert memory.missing > 0
            assert memory.read(THREE[0][0], 4096) == THREE[0][1][:4096]


def test_a_tar_that_is_cut(tmp_path: Path) -> None:
    path = put(tmp_path, PACKED["tar"][: len(LARGE) // 2])
    with pytest.raises(TruncatedImageError, match="cut off"):
        open_image(path, cache=tmp_path)
    with open_image(path, cache=tmp_path, allow_truncated=True) as memory:
        assert memory.missing > 0
        assert memory.read(THREE[0][0], 4096) == THREE[0][1][:4096]


def test_a_second_archive_behind_the_first_is_said(tmp_path: Path) -> None:
    """tar reads no further than the first archive's end either."""
    second = tar({"note.txt": b"x"})
    path = put(tmp_path, PACKED["tar"] + second)
    assert read_whole(path, tmp_path) == ((line(len(second), "tar"),), 0)


def test_zeros(tmp_path: Path) -> None:
    source = MappedFile(put(tmp_path, b"a" + bytes(5 << 20) + b"b"))
    assert [after_zeros(source, offset) for offset in (0, 1, 2, 5 << 20, source.size - 1)] == [
        0, source.size - 1, source.size - 1, source.size - 1, source.size - 1,
    ]  # fmt: skip
    assert after_zeros(source, source.size) == source.size
    behind = Behind(source, "xz", allow_truncated=False)
    assert (behind.begins_no_part(source.size - 1), behind.size, behind.is_much) == (True, 1, False)


def test_fuzz(tmp_path: Path) -> None:
    """Whatever follows, the image is whole or the error names the file; never other bytes in its place."""
    small = lime([(0x1000, noise(5000, 5))])
    packed = {kind: PACK[kind](small) for kind in JOINED}
    seeds = [gz(b"x"), *packed.values(), b"text"]
    read = 0
    for data in packed.values():
        for trailing in mutations(seeds, cases() // len(packed) // 4):
            path = put(tmp_path, data + trailing)
            try:
                with open_image(path, cache=tmp_path, allow_truncated=True) as memory:
                    assert memory.read(0x1000, 5000) == noise(5000, 5)
                    read += 1
            except ImageError as error:
                assert str(path) in str(error)
    assert read > cases() // 40
