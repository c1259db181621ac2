# SPDX-License-Identifier: Apache-2.0
"""The kernel's banner in an image: found across pieces, and not where only its words lie about."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.errors import ImageError
from memir.evidence.opened import BannerFinder, look_inside
from memir.image.records import pack_header

BANNER = "Linux version 6.1.0-50-cloud-amd64 (kim@desk) (gcc-12 12.2.0) #1 SMP Debian 6.1.176-1 (2026-07-02)"
OLD = Path(__file__).parent / "data" / "evidence-0.1.0"


def lime(data: bytes) -> bytes:
    return pack_header(0x100000, 0x100000 + len(data)) + data


def test_look_inside(tmp_path: Path) -> None:
    path = tmp_path / "image.lime"
    path.write_bytes(lime(bytes(70_000) + BANNER.encode() + b"\n\0" + bytes(70_000)))
    ranges = [(0x100000, 0x100000 + path.stat().st_size - 32)]
    assert look_inside(str(path), "6.1.0-50-cloud-amd64") == (ranges, BANNER)
    assert look_inside(str(path), "") == (ranges, BANNER)
    assert look_inside(str(path), "6.1.0-50") == (ranges, "")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ImageError):
        look_inside(str(path), "")


def test_a_real_image() -> None:
    ranges, banner = look_inside(str(OLD / "image.avml"), "")
    assert ranges == [(4096, 266240), (1048576, 3145728)]
    assert banner.startswith("Linux version 6.18")


@pytest.mark.parametrize("step", [1, 7, 100, 4096])
def test_across_pieces(step: int) -> None:
    data = b"Linux version 6.1.0-50-cloud-amd64 cut off\0" + BANNER.encode() + b"\n\0"
    finder = BannerFinder("6.1.0-50-cloud-amd64")
    answers = [finder(data[at : at + step]) for at in range(0, len(data), step)]
    assert finder.banner == BANNER
    assert any(answers)
    for wrong in (b"Linux version 6.1 \n", b"Linux version 6.1 (a) #x\n", b"Linux version 6.1 (a\xff) #1 SMP\n", b""):
        finder = BannerFinder("6.1")
        assert not finder(wrong)
        assert finder.banner == ""
