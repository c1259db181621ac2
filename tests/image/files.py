# SPDX-License-Identifier: Apache-2.0
"""Images of every format, made from known bytes."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import cramjam
import lzallright
import numpy as np
import zstandard

PAGE = 4096
Parts = Sequence[tuple[int, bytes]]
"""(physical address, bytes) of every range."""


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that tell every position apart, a little compressible."""
    rng = random.Random(seed)
    return b"".join(
        rng.randbytes(PAGE // 2) + struct.pack("<Q", seed << 32 | at) * (PAGE // 16) for at in range(-(-size // PAGE))
    )[:size]


THREE = [
    (0x1000, noise(3 * PAGE, 1)),
    (0x100000, noise(70 * PAGE, 2)),
    (0x100000 + 70 * PAGE, noise(5 * PAGE, 3)),
]
"""A range apart, and two that are adjacent in memory but not in a file that has headers between them."""


def record(magic: bytes, version: int, start: int, end: int, padding: int = 0) -> bytes:
    return magic + struct.pack("<IQQQ", version, start, end, padding)


def lime(parts: Parts) -> bytes:
    return b"".join(record(b"EMiL", 1, pa, pa + len(data) - 1) + data for pa, data in parts)


def avml_block(pa: int, data: bytes) -> bytes:
    stream = bytes(cramjam.snappy.compress(data))
    return record(b"AVML", 2, pa, pa + len(data) - 1) + stream + struct.pack("<Q", len(stream))


def avml(parts: Parts) -> bytes:
    return b"".join(avml_block(pa, data) for pa, data in parts)


def snappy(*chunks: tuple[int, bytes]) -> bytes:
    """A stream of chunks as given: (type, body)."""
    return b"\xff\x06\0\0sNaPpY" + b"".join(struct.pack("<I", kind | len(body) << 8) + body for kind, body in chunks)


def ehdr(
    count: int,
    *,
    kind: int = 4,
    phoff: int = 64,
    shoff: int = 0,
    phentsize: int = 56,
    ident: bytes = b"\x02\x01\x01",
) -> bytes:
    head = b"\x7fELF" + ident + bytes(9)
    return head + struct.pack("<HHIQQQIHHHHHH", kind, 62, 1, 0, phoff, shoff, 0, 64, phentsize, count, 64, 0, 0)


def phdr(kind: int, offset: int, pa: int, size: int, virtual: int = 0) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, 0, offset, virtual, pa, size, size, 0)


def note(name: bytes, data: bytes, kind: int = 0) -> bytes:
    pad = -len(name) % 4, -len(data) % 4
    return struct.pack("<III", len(name), len(data), kind) + name + bytes(pad[0]) + data + bytes(pad[1])


def elf(parts: Parts, notes: bytes = b"", odd: int = 0) -> bytes:
    """A core; odd: how many bytes the data is off alignment."""
    offset = 64 + 56 * (len(parts) + 1)
    heads = [phdr(4, offset, 0, len(notes))]
    body = notes + bytes(odd)
    for pa, data in parts:
        heads.append(phdr(1, offset + len(body), pa, len(data)))
        body += data
    return ehdr(len(heads)) + b"".join(heads) + body


def raw(parts: Parts) -> bytes:
    """Padded: an offset is an address."""
    out = bytearray(max(pa + len(data) for pa, data in parts))
    for pa, data in parts:
        out[pa : pa + len(data)] = data
    return bytes(out)


def zstd(data: bytes, *, window: int = 0, checksum: bool = True, size: bool = True, level: int = 1) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, window_log=window, enable_ldm=window > 27, write_checksum=checksum, write_content_size=size
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)


def seek_table(entries: Sequence[tuple[int, int]], *, checksums: bool = False, descriptor: int = 0) -> bytes:
    table = b"".join(struct.pack("<II", *one) + (bytes(4) if checksums else b"") for one in entries)
    table += struct.pack("<IBI", len(entries), descriptor | 0x80 * checksums, 0x8F92EAB1)
    return struct.pack("<II", 0x184D2A5E, len(table)) + table


def seekable(data: bytes, frame: int = 64 << 10, *, checksums: bool = False) -> bytes:
    pieces = [data[at : at + frame] for at in range(0, len(data), frame)]
    packed = [zstd(piece) for piece in pieces]
    entries = [(len(small), len(large)) for small, large in zip(packed, pieces, strict=True)]
    return b"".join(packed) + seek_table(entries, checksums=checksums)


def gz(data: bytes) -> bytes:
    return gzip.compress(data, 1, mtime=0)


KDUMP_FLAGS = {"zlib": 0x1, "lzo": 0x2, "snappy": 0x4, "zstd": 0x20, "plain": 0}


def _packed(page: bytes, how: str) -> bytes:
    if how == "zlib":
        return zlib.compress(page, 1)
    if how == "lzo":
        return bytes(lzallright.LZOCompressor().compress(page))
    if how == "snappy":
        return bytes(cramjam.snappy.compress_raw(page))
    return zstandard.ZstdCompressor().compress(page) if how == "zstd" else page


def kdump(
    parts: Parts, how: str = "zlib", *, level: int = 0, split: int = 0, note: bytes = b"", left_out: int = 0
) -> bytes:
    """A kdump of whole pages, version 6. left_out: so many of the first pages are RAM, but not in the file."""
    pages = {(pa + at) // PAGE: data[at : at + PAGE] for pa, data in parts for at in range(0, len(data), PAGE)}
    frames = sorted(pages)
    half = -(-(frames[-1] + 1) // (8 * PAGE)) * PAGE
    ram, there = bytearray(half), bytearray(half)
    for number, frame in enumerate(frames):
        ram[frame // 8] |= 1 << frame % 8
        if number >= left_out:
            there[frame // 8] |= 1 << frame % 8
    head = b"KDUMP   " + struct.pack("<i", 6) + bytes(390 + 6 + 16)
    head += struct.pack("<IiiIIIIIIi", 0, PAGE, 1, 2 * half // PAGE, 0, 0, 0, 0, 0, 1)
    at = 2 * PAGE + 2 * half
    stored = [_packed(pages[frame], how) for frame in frames[left_out:]]
    data_at = at + 24 * len(stored)
    sub = struct.pack("<QiiQQQQQQQQQQQ", 0, level, split, 0, 0, data_at, len(note), 0, 0, 0, 0, 0, 0, frames[-1] + 1)
    offset, table = data_at + len(note), b""
    for data in stored:
        plain = len(data) >= PAGE
        table += struct.pack("<QIIQ", offset, len(data), 0 if plain else KDUMP_FLAGS[how], 0)
        offset += len(data)
    return head.ljust(PAGE, b"\0") + sub.ljust(PAGE, b"\0") + ram + there + table + note + b"".join(stored)


def flattened(data: bytes, pieces: Sequence[tuple[int, int]]) -> bytes:
    """makedumpfile -F: the pieces [low, high) of a file, in the order given."""
    out = b"makedumpfile\0\0\0\0" + struct.pack(">qq", 1, 1)
    out = out.ljust(PAGE, b"\0")
    for low, high in pieces:
        out += struct.pack(">qq", low, high - low) + data[low:high]
    return out + struct.pack(">qq", -1, -1)


def put(folder: Path, data: bytes, name: str = "image") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def u64(*values: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(values, np.uint64)
