# SPDX-License-Identifier: Apache-2.0
"""Types from a file that the user gives: raw BTF (/sys/kernel/btf/vmlinux), or the .BTF section of an ELF vmlinux."""

from __future__ import annotations

import struct
from pathlib import Path

from memir.errors import BtfError
from memir.symbols import btf
from memir.symbols.btf import BtfTypes

_ELF, _BTF = b"\x7fELF", b"\x9f\xeb"
_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh")
_SHDR = struct.Struct("<IIQQQQIIQQ")  # elf(5): name, type, flags, addr, offset, size, link, info, addralign, entsize
_MAX_FILE = 4 << 30  # vmlinux with debug information is below 1 GiB; bounds what a malformed header asks for
_MAX_BTF = 1 << 28  # a kernel's is 5 MB


def read(path: Path) -> BtfTypes:
    """The types in a file; BtfError if it cannot be read, is an ELF file without a .BTF section, or holds no BTF."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
            if not head.startswith(_ELF):
                if not head.startswith(_BTF):
                    packed = ": it is packed: unpack it first" if head.startswith(_PACKED) else ""
                    raise BtfError(
                        f"{path}: neither BTF nor an ELF file with a .BTF section{packed}. Give "
                        "/sys/kernel/btf/vmlinux of a node with this kernel, or its vmlinux"
                    )
                file.seek(0)
                return btf.parse(file.read(_MAX_BTF))
            if path.stat().st_size > _MAX_FILE or len(head) < 64 or head[4:6] != b"\x02\x01":
                raise BtfError(f"{path}: not a 64-bit little-endian ELF file of a kernel")
            offset, size = _section(path, head)
            file.seek(offset)
            return btf.parse(file.read(min(size, _MAX_BTF)))
    except OSError as error:
        raise BtfError(f"{path}: cannot be read: {error.strerror}") from error


def _section(path: Path, head: bytes) -> tuple[int, int]:
    """(offset, bytes) of .BTF; the section headers are read by their own place, as they lie at the file's end."""
    table, count, names = struct.unpack_from("<Q", head, 40)[0], *struct.unpack_from("<HH", head, 60)
    with path.open("rb") as file:
        file.seek(min(table, _MAX_FILE))
        raw = file.read(count * _SHDR.size)
        headers = [_SHDR.unpack_from(raw, offset) for offset in range(0, len(raw) - _SHDR.size + 1, _SHDR.size)]
        if names < len(headers):
            file.seek(min(headers[names][4], _MAX_FILE))
            texts = file.read(min(headers[names][5], 1 << 20))
            for header in headers:
                if texts[header[0] : header[0] + 5] == b".BTF\0":
                    return min(header[4], _MAX_FILE), header[5]
    raise BtfError(
        f"{path}: an ELF file without a .BTF section: give /sys/kernel/btf/vmlinux of a node with this kernel, or make "
        "an ISF of it with dwarf2json and give that with --isf"
    )
