# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import ChangedImageError, ImageError
from memir.image.open import open_image
from memir.image.split import JoinedFile, parts_of
from tests.image.files import THREE, lime, noise

DATA = lime(THREE)


def split(folder: Path, data: bytes, step: int, first: int = 0) -> list[Path]:
    paths = []
    for number, at in enumerate(range(0, len(data), step), first):
        paths.append(folder / f"node.raw.{number:03d}")
        paths[-1].write_bytes(data[at : at + step])
    return paths


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("given", [0, 2])
def test_any_part_opens_the_whole(first: int, given: int, tmp_path: Path) -> None:
    paths = split(tmp_path, DATA, 100_001, first)
    assert parts_of(paths[given]) == paths
    with open_image(paths[given], cache=tmp_path) as memory:
        assert (memory.format, memory.file_size) == ("LiME", len(DATA))
        assert memory.path == f"{paths[0]} to {paths[-1].name}"
        for pa, data in THREE:
            assert memory.read(pa, len(data)) == data


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    paths = split(tmp_path, DATA, 100_000)
    paths[1].unlink()
    with pytest.raises(ImageError, match=r"part node.raw.001 is missing"):
        open_image(paths[0])


def test_a_single_numbered_file_is_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "dump.000"
    path.write_bytes(DATA)
    assert parts_of(path) == []
    with open_image(path) as memory:
        assert memory.format == "LiME"
    assert parts_of(tmp_path / "dump.raw") == []


def test_bytes_across_parts_and_changes(tmp_path: Path) -> None:
    data = noise(3 << 20, 4)
    paths = split(tmp_path, data, 1_000_003)
    joined = JoinedFile(paths, tmp_path)
    assert joined.copy(999_000, 2_005_000) == data[999_000:3_004_000]
    joined.check()
    assert len(joined.identity().split("|")) == 4
    paths[1].write_bytes(b"x")
    with pytest.raises(ChangedImageError):
        joined.check()
    joined.close()
    paths[2].write_bytes(b"")
    with pytest.raises(ImageError, match="is empty"):
        JoinedFile(paths, tmp_path)
