# SPDX-License-Identifier: Apache-2.0
"""A kernel comes out of each packing as it went in; whatever is no kernel, cut or damaged is refused in words."""

from __future__ import annotations

import bz2
import random
from pathlib import Path

import pytest

from memir.errors import SymbolsError
from memir.kernel.bzimage import is_kernel, open_kernel, unpacked
from tests.kernel.made_kernel import PACKINGS, bzimage, elf

KERNEL = elf({".text": (-0x7F000000, random.Random(7).randbytes(3000) + bytes(9000))})
HERE = Path("vmlinuz")


@pytest.mark.parametrize("packing", PACKINGS)
def test_each_packing(packing: str, tmp_path: Path) -> None:
    image = bzimage(KERNEL, packing)
    assert unpacked(image, HERE) == KERNEL
    path = tmp_path / "vmlinuz"
    path.write_bytes(image)
    file = open_kernel(path)
    assert (file.size, file.read(0, file.size)) == (len(KERNEL), KERNEL)
    with pytest.raises(SymbolsError, match="lie behind its end"):
        file.read(file.size - 3, 4)


def test_an_elf_file_is_one_already(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(KERNEL)
    assert open_kernel(path).read(1, 3) == b"ELF"


def test_is_kernel(tmp_path: Path) -> None:
    """A vmlinuz and a vmlinux; not a core dump, which is an image of RAM, nor what is cut, no file, or a folder."""
    path = tmp_path / "given"
    core = KERNEL[:16] + b"\4\0" + KERNEL[18:]
    for data in (bzimage(KERNEL, "xz"), KERNEL):
        path.write_bytes(data)
        assert is_kernel(path)
    for data in (core, b"\x7fEL", b""):
        path.write_bytes(data)
        assert not is_kernel(path)
    assert not is_kernel(tmp_path) and not is_kernel(tmp_path / "absent")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no kernel"), (bytes(4096), "no kernel"),
        (b"MZ" + bytes(0x36) + b"ARM\x64" + bytes(900), "arm64's Image"),
        (b"\x1f\x8b" + bytes(900), "arm64's Image"),
        (bzimage(KERNEL, "xz")[:1500], "less than its header promises"),
        (bzimage(b"", "", bz2.compress(KERNEL)), "packed with bzip2, which is not read"),
        (bzimage(b"", "", b"what is this"), "packed with something unknown"),
        (bzimage(b"no kernel at all", "gzip"), "not a whole kernel"),
    ],
)  # fmt: skip
def test_what_is_none(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "given"
    path.write_bytes(data)
    with pytest.raises(SymbolsError, match=words):
        open_kernel(path)
    with pytest.raises(SymbolsError, match="cannot be read: No such file"):
        open_kernel(tmp_path / "absent")
    with pytest.raises(SymbolsError, match="cannot be read: Is a directory"):
        open_kernel(tmp_path)


@pytest.mark.parametrize("packing", PACKINGS)
def test_damage_is_refused_or_of_no_effect(packing: str) -> None:
    """200 images with some bytes changed, and 50 cut ones: never another error, never much memory."""
    rng, image = random.Random(packing), bzimage(KERNEL, packing)
    for number in range(250):
        damaged = bytearray(image[: rng.randrange(0x250, len(image))] if number % 5 == 0 else image)
        for _ in range(rng.randrange(1, 5)):
            place = rng.choice((0x1F1, 0x206, rng.randrange(0x248, 0x250), rng.randrange(len(damaged))))
            damaged[place] = rng.randrange(256)
        try:
            assert len(unpacked(bytes(damaged), HERE)) == len(KERNEL)
        except SymbolsError as error:
            assert "vmlinuz" in str(error)
