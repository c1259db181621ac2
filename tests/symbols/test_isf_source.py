# SPDX-License-Identifier: Apache-2.0
"""What an ISF is made from: a located kernel, or files of the live node."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from memir.errors import BtfError, KallsymsError, UsageError
from memir.symbols.isf_source import of_files, of_kernel
from memir.symbols.locate import locate
from tests.images import case
from tests.symbols.test_btf_file import BTF, elf


def test_of_kernel() -> None:
    anchors = locate(case("s-6.1-small").open())
    source = of_kernel(anchors)
    assert source.symbols["_text"] == 0xFFFF_FFFF_8100_0000  # as linked: the boot's KASLR shift is taken off
    assert source.symbols["init_task"] == anchors.init_task - (anchors.shift or 0)
    with pytest.raises(BtfError, match="no BTF to make an ISF from"):
        of_kernel(replace(anchors, btf=None))
    with pytest.raises(KallsymsError, match="the KASLR shift is not known"):
        of_kernel(replace(anchors, shift=None))


def test_of_files(tmp_path: Path) -> None:
    memory = case("s-6.1-small").open()
    anchors = locate(memory)
    start, stop = (anchors.image_pa(anchors.symbols[name]) for name in ("__start_BTF", "__stop_BTF"))
    (tmp_path / "vmlinux").write_bytes(memory.read(start, stop - start))
    lines = [f"{address:016x} T {name}" for name, address in dict(anchors.symbols.shifted(0)).items()]
    (tmp_path / "kallsyms").write_text("\n".join(lines) + "\n")
    (tmp_path / "version").write_text(anchors.banner)
    for banner in (anchors.banner, str(tmp_path / "version")):
        source, release = of_files(tmp_path / "vmlinux", tmp_path / "kallsyms", banner)
        assert release == "6.1.0-50-cloud-amd64"
        assert source.symbols["_text"] == 0xFFFF_FFFF_8100_0000
        assert source.symbols["init_task"] == of_kernel(anchors).symbols["init_task"]
    with pytest.raises((BtfError, UsageError), match="absent: cannot be read: No such file or directory"):
        of_files(tmp_path / "absent", tmp_path / "kallsyms", anchors.banner)


def test_of_an_elf_file_and_a_long_banner(tmp_path: Path) -> None:
    """A vmlinux with .BTF serves as well; a version's text that is too long for a file's name is still a text."""
    (tmp_path / "vmlinux").write_bytes(elf(BTF))
    (tmp_path / "kallsyms").write_text("ffffffff81000000 T _text\n")
    banner = "Linux version 6.1.0-50 " + "x" * 5000
    source, release = of_files(tmp_path / "vmlinux", tmp_path / "kallsyms", banner)
    assert release == "6.1.0-50"
    assert source.symbols["_text"] == 0xFFFF_FFFF_8100_0000
    with pytest.raises(BtfError, match="neither BTF nor an ELF file"):
        of_files(tmp_path / "kallsyms", tmp_path / "kallsyms", banner)
