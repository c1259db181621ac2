# SPDX-License-Identifier: Apache-2.0
"""The checkpoint archive of the samples, what /proc said before it was taken, and archives made of its files."""

from __future__ import annotations

import functools
import io
import json
import struct
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zstandard

NAME = "checkpoint-web-7d9f_shop-web"
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
CONTAINER = "6f1e" + "0123456789ab" * 5
POD_UID = "0f7c2a44-1d5e-4b7a-9a53-6f3b8e1d2c77"
_FOLDER = tempfile.TemporaryDirectory(prefix="checkpoint-")


@functools.cache
def archive() -> Path:
    """The archive, unpacked once."""
    path = Path(_FOLDER.name) / f"{NAME}.tar"
    path.write_bytes(zstandard.decompress((SAMPLES / f"{NAME}.tar.zst").read_bytes()))
    return path


@functools.cache
def members() -> dict[str, bytes]:
    """Its files."""
    with tarfile.open(archive()) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isreg()}  # type: ignore[union-attr]


@functools.cache
def truth() -> dict[str, Any]:
    """What the container's /proc said just before."""
    document: dict[str, Any] = json.loads((SAMPLES / f"{NAME}.truth.json").read_text())
    return document


def of_pid(pid: int) -> dict[str, Any]:
    """The truth of one process."""
    return next(row for row in truth()["processes"] if row["pid"] == pid)


def pack(path: Path, files: Mapping[str, bytes]) -> Path:
    """An archive of these files."""
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(*fields: tuple[int, int | bytes]) -> bytes:
    """A protobuf message of (field number, number or bytes)."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def image(magic: int, *entries: bytes, common: int | None = 0x54564319) -> bytes:
    """An image of CRIU's."""
    head = b"" if common is None else struct.pack("<I", common)
    return head + struct.pack("<I", magic) + b"".join(struct.pack("<I", len(entry)) + entry for entry in entries)
