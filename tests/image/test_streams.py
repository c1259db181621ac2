# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import bz2
import io
import lzma
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import cramjam
import lz4.frame  # type: ignore[import-untyped]  # the package has no types
import pytest

from memir.errors import ImageError, ImageFormatError, TruncatedImageError
from memir.image.behind import Behind
from memir.image.open import open_image
from memir.image.source import MappedFile
from memir.image.streams import container_of, pieces
from tests.fuzz import cases, mutations
from tests.image.files import THREE, gz, lime, noise, put, zstd

LIME = lime([*THREE, (0x1000000, noise(1 << 20, 9))])


def tar(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


class _Closing:
    def __init__(self, source: MappedFile) -> None:
        self.source = source

    def __enter__(self) -> MappedFile:
        return self.source

    def __exit__(self, *_: object) -> None:
        self.source.close()


def _opened(folder: Path, data: bytes) -> _Closing:
    return _Closing(MappedFile(put(folder, data)))


def unpack(source: MappedFile, kind: str) -> bytes:
    return b"".join(pieces(source, kind, Behind(source, kind, allow_truncated=False)))


def framed(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress(data))


PACKED = {
    "xz": lzma.compress(LIME, preset=0),
    "bzip2": bz2.compress(LIME, 1),
    "lz4": lz4.frame.compress(LIME, block_linked=True),
    "snappy": framed(LIME),
    "zip": zipped({"README": b"x", "node.lime": LIME}),
    "tar": tar({"README": b"x", "node.lime": LIME}),
    "tar in gzip": gz(tar({"images/node.lime": LIME})),
    "zstd in tar": tar({"node.lime.zst": zstd(LIME)}),
}


def test_a_zip_with_a_member_of_no_name(tmp_path: Path) -> None:
    """A name ends at its first NUL."""
    nameless = zipped({"nameless": b"x", "node.lime": LIME}).replace(b"nameless", b"\0ameless")
    with open_image(put(tmp_path, nameless), cache=tmp_path) as memory:
        assert (memory.format, memory.container) == ("LiME", "zip")


@pytest.mark.parametrize("kind", sorted(PACKED))
def test_an_image_in_every_packing(kind: str, tmp_path: Path) -> None:
    with open_image(put(tmp_path, PACKED[kind]), cache=tmp_path) as memory:
        assert (memory.format, memory.container, memory.missing) == ("LiME", kind, 0)
        for pa, data in THREE:
            assert memory.read(pa, len(data)) == data


@pytest.mark.parametrize("level", range(1, 10))
def test_every_level_of_bzip2(level: int, tmp_path: Path) -> None:
    with _opened(tmp_path, bz2.compress(b"x" * 100, level)) as source:
        assert container_of(source) == "bzip2"
        assert unpack(source, "bzip2") == b"x" * 100


@pytest.mark.parametrize("kind", ["xz", "bzip2", "lz4"])
def test_joined_streams(kind: str, tmp_path: Path) -> None:
    pack = {"xz": lambda data: lzma.compress(data, preset=0), "bzip2": bz2.compress, "lz4": lz4.frame.compress}[kind]
    with _opened(tmp_path, pack(b"one") + pack(b"two") + bytes(8)) as source:
        assert unpack(source, kind) == b"onetwo"


@pytest.mark.parametrize("kind", ["xz", "bzip2", "lz4", "snappy"])
def test_a_cut_file_says_so_and_gives_what_is_there(kind: str, tmp_path: Path) -> None:
    path = put(tmp_path, PACKED[kind][: len(PACKED[kind]) // 2])
    with pytest.raises(TruncatedImageError, match="--allow-truncated"):
        open_image(path, cache=tmp_path)
    with open_image(path, cache=tmp_path, allow_truncated=True) as memory:
        assert memory.missing > 0
        assert memory.read(0x1000, 4096) == THREE[0][1][:4096]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tar({"a.lime": LIME, "b.lime": LIME}), "a tar archive with 'a.lime', 'b.lime': unpack the image you mean"),
        (tar({"README": b"x"}), "a tar archive with no file of 1 MiB or more"),
        (zipped({"a.raw": LIME, "b.raw": LIME}), "a zip archive with 'a.raw', 'b.raw': .*`unzip "),
        (tar({"checkpoint/inventory.img": b"x", "checkpoint/pages-1.img": LIME}), "a checkpoint of one container"),
        (PACKED["zip"][:-100], "zip data is damaged or unusual"),
        (PACKED["xz"][:100] + bytes(100) + PACKED["xz"][200:], "damaged"),
        (PACKED["lz4"][:4] + b"\xff" * 20 + PACKED["lz4"][24:], "damaged"),
        (PACKED["snappy"][:20] + b"\xff" * 20 + PACKED["snappy"][40:], "damaged"),
    ],
)
def test_what_cannot_be_unpacked_says_why(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match=words):
        open_image(put(tmp_path, data), cache=tmp_path)


def test_other_files_are_none(tmp_path: Path) -> None:
    with _opened(tmp_path, b"BZh9 not bzip2") as source:
        assert container_of(source) is None


def test_fuzz(tmp_path: Path) -> None:
    small = noise(3000, 5)
    seeds = {
        "xz": lzma.compress(small, preset=0), "bzip2": bz2.compress(small), "lz4": lz4.frame.compress(small),
        "snappy": framed(small), "zip": zipped({"a.raw": small}), "tar": tar({"a.raw": small}),
    }  # fmt: skip
    whole = 0
    for kind, seed in seeds.items():
        for data in mutations([seed], cases() // len(seeds)):
            try:
                with _opened(tmp_path, data or b"x") as source:
                    whole += unpack(source, kind) == small
            except ImageError as error:
                assert str(tmp_path) in str(error)
    assert whole > 0
