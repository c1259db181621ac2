# SPDX-License-Identifier: Apache-2.0
"""Sections, build id and relocations of a kernel's ELF file; damaged ones end in an error in words."""

from __future__ import annotations

import io
import random
from pathlib import Path

import pytest

from memir.errors import SymbolsError
from memir.kernel.bzimage import KernelFile, open_kernel
from memir.kernel.vmlinux import Vmlinux
from tests.images import ROOT
from tests.kernel.made_kernel import elf, notes

BASE = -0x7F000000
PARTS = {".text": (BASE, b"code" * 64), ".notes": (BASE + 0x1000, notes("ab" * 20)), ".data": (BASE + 0x2000, b"data")}
RELOCS = ([BASE + 4, BASE + 64], [BASE + 12], [BASE + 0x2000])


def opened(data: bytes) -> Vmlinux:
    return Vmlinux(KernelFile(Path("vmlinux"), io.BytesIO(data), len(data)))


def test_sections_and_build_id() -> None:
    kernel = opened(elf(PARTS, RELOCS))
    assert kernel.build_id == "ab" * 20
    assert kernel.sections[".text"].address == BASE and kernel.content(".text").tobytes() == b"code" * 64
    assert kernel.content(".absent").tobytes() == b""
    assert kernel.between(BASE + 2, BASE + 6).tobytes() == b"deco"
    assert kernel.between(BASE + 2, BASE + 0x1000).tobytes() == b"" == kernel.between(5, 5).tobytes()


def test_relocations() -> None:
    moved = opened(elf(PARTS, RELOCS)).relocations()
    assert moved is not None
    assert (moved.words.tolist(), moved.inverse.tolist(), moved.quads.tolist()) == tuple(map(list, RELOCS))
    newer = opened(elf(PARTS, (RELOCS[0], RELOCS[2]))).relocations()  # since 6.15 none are inverse
    assert newer is not None
    assert (newer.words.tolist(), newer.inverse.tolist(), newer.quads.tolist()) == (RELOCS[0], [], RELOCS[2])
    assert opened(elf(PARTS)).relocations() is None
    assert opened(elf(PARTS) + b"\x01\0\0\0" * 9).relocations() is None


def test_a_real_one() -> None:
    """A part of Debian's 6.1 (tests/lab/thin_kernel.py)."""
    kernel = Vmlinux(open_kernel(ROOT / "samples" / "s-6.1-small.vmlinuz"))
    assert kernel.build_id == "bb603a9147d3efe4744bf83c83eee397c591cc20"
    assert kernel.sections[".text"].address == -0x7F000000
    assert kernel.sections[".rodata"].address == -0x7E000000
    moved = kernel.relocations()
    assert moved is not None and min(map(len, (moved.words, moved.inverse, moved.quads))) > 50


def test_what_is_none() -> None:
    with pytest.raises(SymbolsError, match="no x86-64 kernel"):
        opened(elf(PARTS, machine=183))
    with pytest.raises(SymbolsError, match="lie behind its end"):
        opened(b"\x7fELF")
    sectionless = bytearray(elf(PARTS))
    sectionless[60:62] = bytes(2)
    with pytest.raises(SymbolsError, match="an ELF file without sections"):
        opened(bytes(sectionless))


def test_damage() -> None:
    """1,000 files with some bytes changed: read, or refused in words."""
    rng, whole = random.Random(3), elf(PARTS, RELOCS)
    table = int.from_bytes(whole[40:48], "little")
    for _ in range(1000):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            place = rng.choice((rng.randrange(64), rng.randrange(table, len(data))))
            data[place] = rng.choice((0, 255, rng.randrange(256)))
        try:
            kernel = opened(bytes(data))
            assert kernel.build_id in (None, "ab" * 20) or len(kernel.build_id or "") < 200
            kernel.relocations()
            kernel.between(BASE, BASE + 64)
        except SymbolsError as error:
            assert "vmlinux" in str(error)
