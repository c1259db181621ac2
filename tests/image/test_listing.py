# SPDX-License-Identifier: Apache-2.0
"""Images by their names: in folders, and below prefixes that someone else lists."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from memir.errors import UsageError
from memir.image.listing import SMALLEST, SUFFIXES, expand, images_in, looks_like_image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, size in (
        ("b.lime", SMALLEST),
        ("a/c.raw.zst", SMALLEST),
        ("a/small.raw", SMALLEST - 1),
        ("notes.txt", SMALLEST),
        ("A.MEM", SMALLEST),
        ("case/clear/memory/12.core", SMALLEST),  # of a collected pod
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, size)
    (tmp_path / "d.raw").mkdir()
    return tmp_path


def test_names() -> None:
    packed = [name + behind for name in SUFFIXES for behind in ("", ".zst", ".gz")]
    assert [name for name in packed if not looks_like_image("node" + name)] == []
    assert looks_like_image("s3://bucket/NODE.LIME.ZST")
    odd = ("", "raw", "node.txt", "node.zst", "node.lime.partial", "node.lime.xz", "lime/node", "c/clear/memory/7.core")
    for name in odd:
        assert not looks_like_image(name), name


def test_images_in_a_folder_and_below(folder: Path) -> None:
    """Sorted; no folders, however they are called, and nothing too small for a node's RAM."""
    assert images_in(folder) == [str(folder / name) for name in ("A.MEM", "a/c.raw.zst", "b.lime")]
    assert images_in(folder / "d.raw") == []


def test_targets(folder: Path) -> None:
    asked: list[str] = []

    def below(prefix: str) -> list[str]:
        asked.append(prefix)
        return ["s3://b/p/2.raw", "s3://b/p/1.raw"] if prefix == "s3://b/p/" else []

    file = str(folder / "b.lime")
    assert expand([file, str(folder), file]) == [file, str(folder / "A.MEM"), str(folder / "a/c.raw.zst")]
    # a file that is not there is said when it is opened, with its own words
    assert expand(["none.raw", "s3://b/p/"]) == ["none.raw", "s3://b/p/"]
    assert expand(["s3://b/p/", file], below) == ["s3://b/p/2.raw", "s3://b/p/1.raw", file]
    for nothing in (str(folder / "d.raw"), "s3://b/empty/"):
        with pytest.raises(UsageError, match=r"no images there \(names end in \.raw "):
            expand([nothing], below)
    assert asked == ["s3://b/p/", "s3://b/empty/"]
