# SPDX-License-Identifier: Apache-2.0
"""Kernel files made by hand: an ELF file with sections and relocations behind it, and a bzImage that holds it."""

from __future__ import annotations

import gzip
import lzma
import struct
from collections.abc import Mapping, Sequence

import lz4.block  # type: ignore[import-untyped]  # the package has no types
import zstandard

PACKINGS = ("xz", "gzip", "zstd", "lz4")


def elf(
    sections: Mapping[str, tuple[int, bytes]], relocations: Sequence[Sequence[int]] | None = None, machine: int = 62
) -> bytes:
    """sections: (address, signed; content) by name, all of them loaded. relocations: words, [inverse,] quads."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in sections) + b".shstrtab\0"
    headers, body = [bytes(64)], bytearray(64)
    for name, (address, content) in [*sections.items(), (".shstrtab", (0, names))]:
        kind, flags = (3, 0) if name == ".shstrtab" else (1, 2)
        at = names.index(b"\0" + name.encode() + b"\0") + 1
        headers.append(struct.pack("<IIQQQQIIQQ", at, kind, flags, address % (1 << 64), len(body), len(content), 0, 0,
                                   1, 0))  # fmt: skip
        body += content
    body += bytes(-len(body) % 8)
    body[:64] = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, machine, 1, 0, 0, len(body), 0, 64, 0, 0,
                            64, len(headers), len(headers) - 1)  # fmt: skip
    body += b"".join(headers)
    for group in reversed(relocations) if relocations is not None else ():  # the 64 bits' first, the 32 bits' last
        body += struct.pack(f"<i{len(group)}i", 0, *(_low(place) for place in group))
    return bytes(body)


def _low(place: int) -> int:
    return (place + (1 << 31)) % (1 << 32) - (1 << 31)


def notes(build_id: str) -> bytes:
    raw = bytes.fromhex(build_id)
    return struct.pack("<III4s", 4, len(raw), 3, b"GNU\0") + raw


def bzimage(kernel: bytes, packing: str, payload: bytes | None = None) -> bytes:
    """kernel packed as the kernel's build does it; payload: this in its stead, packed in whatever way."""
    packed = payload if payload is not None else _packed(kernel, packing)
    head = bytearray(1024)
    head[0x1F1] = 1
    head[0x202:0x208] = b"HdrS" + (0x20F).to_bytes(2, "little")
    head[0x248:0x250] = struct.pack("<II", 64, len(packed))
    return bytes(head) + bytes(64) + packed + bytes(512)


def _packed(kernel: bytes, packing: str) -> bytes:
    size = len(kernel).to_bytes(4, "little")
    if packing == "xz":
        return lzma.compress(kernel, check=lzma.CHECK_CRC32) + size
    if packing == "gzip":
        return gzip.compress(kernel)
    if packing == "zstd":
        return zstandard.ZstdCompressor(write_content_size=False).compress(kernel) + size
    packed = b""
    for place in range(0, len(kernel), 8 << 20):
        block = lz4.block.compress(kernel[place : place + (8 << 20)], store_size=False)
        packed += len(block).to_bytes(4, "little") + block
    return b"\x02\x21\x4c\x18" + packed + size
