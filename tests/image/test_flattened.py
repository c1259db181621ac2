# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct
from pathlib import Path

import pytest

from memir.errors import ImageError, ImageFormatError, TruncatedImageError
from memir.image.flattened import MAGIC, restored
from memir.image.open import open_image
from memir.image.source import MappedFile
from tests.fuzz import cases, mutations
from tests.image.files import PAGE, THREE, flattened, kdump, noise, put

DATA = kdump(THREE)
PIECES = [(0, PAGE), (3 * PAGE, len(DATA)), (PAGE, 3 * PAGE)]


def test_pieces_in_any_order(tmp_path: Path) -> None:
    with open_image(put(tmp_path, flattened(DATA, PIECES)), cache=tmp_path) as memory:
        assert (memory.format, memory.container, memory.missing) == ("kdump", "flattened", 0)
        for pa, data in THREE:
            assert memory.read(pa, len(data)) == data


def test_what_is_written_later_stands(tmp_path: Path) -> None:
    first, second = noise(600_000, 1), noise(600_000, 2)
    out = flattened(first, [(0, 600_000)])[:-16] + flattened(second, [(100, 300_000), (599_999, 600_000)])[PAGE:]
    source, missing = restored(MappedFile(put(tmp_path, out)), tmp_path, False)
    assert missing == 0
    assert source.copy(0, source.size) == first[:100] + second[100:300_000] + first[300_000:-1] + second[-1:]


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (MAGIC + struct.pack(">qq", 2, 1), ImageFormatError, "flattened kdump of type 2"),
        (MAGIC + bytes(4), ImageFormatError, "flattened kdump of type 0"),
        (flattened(DATA, PIECES)[:-20], TruncatedImageError, "cut off by the end of the file"),
        (flattened(DATA, []), ImageFormatError, "without any data"),
        (flattened(DATA, [])[:PAGE] + struct.pack(">qq", -2, 1), ImageFormatError, "says 1 bytes at -0x2"),
        (flattened(DATA, [])[:PAGE] + struct.pack(">qq", 1 << 60, 1), ImageFormatError, "record at offset 0x1000"),
    ],
)
def test_bad_files_say_what_and_where(data: bytes, kind: type[ImageError], words: str, tmp_path: Path) -> None:
    with pytest.raises(kind, match=words):
        open_image(put(tmp_path, data), cache=tmp_path)


def test_a_cut_file_opens_if_allowed(tmp_path: Path) -> None:
    out = flattened(DATA, [(0, len(DATA))])
    with open_image(put(tmp_path, out[:-26]), cache=tmp_path, allow_truncated=True) as memory:
        assert memory.missing > 0
        assert memory.read(0x1000, PAGE) == THREE[0][1][:PAGE]


def test_fuzz(tmp_path: Path) -> None:
    small = kdump([(0x1000, noise(2 * PAGE, 1))])
    seeds = [flattened(small, [(0, PAGE), (PAGE, len(small))]), flattened(small, [(PAGE, len(small)), (0, PAGE)])]
    opened = 0
    for number, data in enumerate(mutations(seeds, cases())):
        path = put(tmp_path, data)
        try:
            with open_image(path, allow_truncated=bool(number % 2), cache=tmp_path) as memory:
                assert sum(len(view) for _, view in memory.views()) <= memory.size
                opened += 1
        except ImageError as error:
            assert str(path) in str(error)
    assert opened > cases() // 20
