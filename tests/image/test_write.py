# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from memir.errors import ImageError
from memir.image.layout import Range
from memir.image.memory import PhysicalMemory
from memir.image.open import open_image
from memir.image.write import write_avml, write_lime, write_raw
from tests.image.files import PAGE, THREE, elf, lime, noise, put, raw

PARTS = [*THREE, (16 << 20, noise(PAGE) + bytes(16 << 20) + noise(18 << 20, 5))]
MERGED = [THREE[0], (0x100000, THREE[1][1] + THREE[2][1]), PARTS[3]]


def source(folder: Path) -> PhysicalMemory:
    return open_image(put(folder, elf(PARTS), "source"))


def test_lime(tmp_path: Path) -> None:
    write_lime(source(tmp_path), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == lime(MERGED)


def test_raw(tmp_path: Path) -> None:
    write_raw(source(tmp_path), tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == raw(PARTS)
    assert (tmp_path / "out").stat().st_blocks * 512 < 24 << 20


def test_avml(tmp_path: Path) -> None:
    write_avml(source(tmp_path), tmp_path / "out")
    with open_image(tmp_path / "out", cache=tmp_path) as memory:
        assert memory.format == "AVML"
        for pa, data in PARTS:
            assert memory.read_partial(pa, len(data))[0] == data


def test_avml_leaves_out_blocks_of_zeros(tmp_path: Path) -> None:
    data = noise(PAGE) + bytes((48 << 20) - 2 * PAGE) + noise(PAGE, 2)
    write_avml(open_image(put(tmp_path, lime([(0x1000, data)]))), tmp_path / "out")
    with open_image(tmp_path / "out", cache=tmp_path) as memory:
        assert memory.ranges == (Range(0x1000, 16 << 20), Range(0x1000 + (32 << 20), 16 << 20))


def test_absent_pages_stay_absent(tmp_path: Path) -> None:
    def read(pa: int, size: int) -> bytes | None:
        return None if pa < 0x3000 < pa + size + 0x1000 else noise(size, 3)

    ranges = [Range(0x1000, 0x5000)]
    for write in (write_lime, write_avml):
        write(PhysicalMemory.from_reader(ranges, read, "a reader", "tool", tmp_path), tmp_path / "out")
        with open_image(tmp_path / "out", cache=tmp_path) as memory:
            assert memory.ranges == (Range(0x1000, 0x1000), Range(0x3000, 0x3000))


def test_the_real_tool_reads_what_is_written(tmp_path: Path, avml_program: Path) -> None:
    write_avml(source(tmp_path), tmp_path / "made")
    command = [str(avml_program), "convert", "--source-format", "lime_compressed", "--format", "lime"]
    subprocess.run([*command, tmp_path / "made", tmp_path / "plain"], check=True, timeout=60)
    with open_image(tmp_path / "plain") as memory:
        for pa, data in PARTS:
            assert memory.read_partial(pa, len(data))[0] == data
    subprocess.run(
        [
            avml_program,
            "convert",
            "--source-format",
            "lime",
            "--format",
            "lime_compressed",
            tmp_path / "plain",
            tmp_path / "again",
        ],
        check=True,
        timeout=60,
    )
    assert (tmp_path / "again").read_bytes() == (tmp_path / "made").read_bytes()


@pytest.mark.parametrize("write", [write_raw, write_lime, write_avml])
def test_where_nothing_can_be_written(write: Callable[[PhysicalMemory, Path], None], tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no/out: cannot be written: No such file"):
        write(source(tmp_path), tmp_path / "no" / "out")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ImageError, match="folder: cannot be written"):
        write(source(tmp_path), tmp_path / "folder")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder", "source"]
