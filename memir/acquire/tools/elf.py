# SPDX-License-Identifier: Apache-2.0
"""The little of ELF that tools need: processor, static or not, .modinfo, a module's signature."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from memir.errors import UsageError

MACHINES = {62: "x86_64", 183: "aarch64"}
SIGNATURE = b"~Module signature appended~\n"


@dataclass(frozen=True, slots=True)
class ElfFacts:
    """machine.

    Uname's word for the processor. static: needs no loader. module: a relocatable object (.ko).
    """

    machine: str
    static: bool
    module: bool
    signed: bool
    modinfo: Mapping[str, str]


def read_elf(data: bytes, what: str) -> ElfFacts:
    """Facts of a 64-bit little-endian ELF file. Raises UsageError, naming `what`, if it is none or is cut."""
    try:
        return _read(data)
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        raise UsageError(f"{what} is not a whole ELF file for x86-64 or arm64: {error}") from error


def _read(data: bytes) -> ElfFacts:
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("wrong magic (a module may be packed: unpack .ko.xz or .ko.zst first)")
    kind, machine = struct.unpack_from("<HH", data, 16)
    if machine not in MACHINES:
        raise ValueError(f"machine {machine}")
    phoff, shoff = struct.unpack_from("<QQ", data, 32)
    phsize, phnum, shsize, shnum, shstrndx = struct.unpack_from("<HHHHH", data, 54)
    static = True
    for index in range(phnum):
        (segment,) = struct.unpack_from("<I", data, phoff + index * phsize)
        static = static and segment != 3
    info: Mapping[str, str] = {}
    if kind == 1:
        info = _modinfo(data, shoff, shsize, shnum, shstrndx)
    return ElfFacts(MACHINES[machine], static, kind == 1, data.endswith(SIGNATURE), info)


def _modinfo(data: bytes, shoff: int, shsize: int, shnum: int, shstrndx: int) -> Mapping[str, str]:
    def section(index: int) -> tuple[int, int, int]:
        name, _, _, _, offset, size = struct.unpack_from("<IIQQQQ", data, shoff + index * shsize)
        if offset + size > len(data):
            raise ValueError(f"section {index} ends past the file")
        return name, offset, size

    _, names, names_size = section(shstrndx)
    for index in range(shnum):
        name, offset, size = section(index)
        if name < names_size and data[names + name : names + names_size].startswith(b".modinfo\0"):
            pairs = (item.partition(b"=") for item in data[offset : offset + size].split(b"\0") if item)
            return {key.decode("ascii", "replace"): value.decode("utf-8", "replace") for key, _, value in pairs}
    return {}
