# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import struct
from pathlib import Path

import pytest

from memir.errors import BtfError
from memir.symbols.btf_file import read
from tests.fuzz import cases, mutations
from tests.images import case
from tests.symbols.btf_real import kernel_btf

BTF = kernel_btf(case("s-6.1-small"))


def elf(btf: bytes, name: bytes = b".BTF") -> bytes:
    names = b"\0.text\0" + name + b"\0"
    table = 64 + len(names) + len(btf)
    head = (
        b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, table, 0, 64, 56, 0, 64, 3, 2)
    )
    sections = bytes(64) + struct.pack("<IIQQQQIIQQ", 7, 1, 0, 0, 64 + len(names), len(btf), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 1, 3, 0, 0, 64, len(names), 0, 0, 1, 0)
    return head + names + btf + sections


@pytest.mark.parametrize("data", [BTF, elf(BTF)])
def test_both_kinds_of_file(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(data)
    found = read(path).struct("task_struct")
    assert found is not None
    assert "comm" in found[1]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (elf(BTF, b".txt"), r"without a \.BTF section: give /sys/kernel/btf/vmlinux"),
        (b"\x7fELF\x01\x01" + bytes(60), "not a 64-bit little-endian ELF"),
        (b"\x7fELF", "not a 64-bit little-endian ELF"),
        (None, "cannot be read: No such file"),
    ],
)
def test_what_is_none_says_so(data: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(BtfError, match=words):
        read(path)


def test_fuzz(tmp_path: Path) -> None:
    seed = elf(b"\x9f\xeb\x01\x00\x18\0\0\0" + bytes(16))
    for data in mutations([seed], cases()):
        path = tmp_path / "vmlinux"
        path.write_bytes(data)
        try:
            read(path)
        except BtfError as error:
            assert str(error)


@pytest.mark.parametrize("head", [b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"])
def test_packed_types_are_named(head: bytes, tmp_path: Path) -> None:
    (tmp_path / "vmlinux.btf").write_bytes(head + bytes(100))
    with pytest.raises(
        BtfError, match=r"neither BTF nor an ELF file with a \.BTF section: it is packed: unpack it first"
    ):
        read(tmp_path / "vmlinux.btf")
