# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from memir.acquire.tools.elf import SIGNATURE, read_elf
from memir.errors import UsageError
from tests.fuzz import cases

CASES = cases(300)


def module(modinfo: dict[str, str], *, machine: int = 62, signed: bool = False) -> bytes:
    """A relocatable ELF with a .modinfo section, as kbuild makes them."""
    info = b"".join(f"{key}={value}".encode() + b"\0" for key, value in modinfo.items())
    names = b"\0.modinfo\0.shstrtab\0"
    start = 64
    table = start + len(info) + len(names)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 1, machine, 1, 0, 0, table, 0, 64, 0, 0, 64, 3, 2)
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 1, 1, 2, 0, start, len(info), 0, 0, 1, 0)
    sections += struct.pack("<IIQQQQIIQQ", 10, 3, 0, 0, start + len(info), len(names), 0, 0, 1, 0)
    return head + info + names + sections + (b"sig" + SIGNATURE if signed else b"")


def test_modinfo_and_signature() -> None:
    facts = read_elf(module({"name": "lime", "vermagic": "6.1.0-13-amd64 SMP mod_unload modversions "}), "x.ko")
    assert facts.module
    assert not facts.signed
    assert facts.machine == "x86_64"
    assert facts.modinfo == {"name": "lime", "vermagic": "6.1.0-13-amd64 SMP mod_unload modversions "}
    assert read_elf(module({}, signed=True), "x.ko").signed
    assert read_elf(module({}, machine=183), "x.ko").machine == "aarch64"


def test_programs(avml: Path) -> None:
    facts = read_elf(avml.read_bytes(), "avml")
    assert (facts.machine, facts.static, facts.module, facts.modinfo) == ("x86_64", True, False, {})
    assert not read_elf(Path("/bin/sh").resolve().read_bytes(), "sh").static


def test_packed_modules_are_refused_with_advice() -> None:
    with pytest.raises(UsageError, match=r"lime\.ko\.xz is not a whole ELF file.*unpack"):
        read_elf(b"\xfd7zXZ\0" + bytes(100), "lime.ko.xz")


def test_hostile_files_raise_only_the_named_error() -> None:
    rng = random.Random(4)
    whole = module({"name": "lime", "vermagic": "6.1"})
    for _ in range(CASES):
        data = bytearray(whole[: rng.randrange(1, len(whole) + 1)])
        for _ in range(rng.randrange(6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            assert read_elf(bytes(data), "x").machine in {"x86_64", "aarch64"}
        except UsageError as error:
            assert "x is not a whole ELF file" in str(error)
