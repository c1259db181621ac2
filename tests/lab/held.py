# SPDX-License-Identifier: Apache-2.0
"""A node that holds what no table of open files and no page table shows (small/held.sh, small/holder.c): swap on zram,
files in flight, of io_urings and their requests, vsock, ping. And what its swapped pages hold, computed again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent / "small"
MODULES = ("overlay", "veth", "zsmalloc", "lzo-rle", "zram", "lz4_compress", "lz4", "zstd_compress", "zstd", "vsock",
           "vmw_vsock_virtio_transport_common", "vsock_loopback")  # fmt: skip
_MASK = (1 << 64) - 1


def page(name: str, number: int) -> bytes:
    """4,096 bytes of page `number` of the process that was given this name; as fill() of holder.c."""
    kind = number % 8
    if kind == 5:
        word = 0x9E3779B97F4A7C15 * (number + 1) & _MASK
        words = []
        for _ in range(512):
            word ^= word << 13 & _MASK
            word ^= word >> 7
            word ^= word << 17 & _MASK
            words.append(word.to_bytes(8, "little"))
        return b"".join(words)
    if kind == 6:
        return (0x4141414141410000 + number).to_bytes(8, "little") * 512
    start, end = (1024, 1536 + 8 * (number % 64)) if kind == 7 else (0, 4096)
    text, line = b"", 0
    while start + len(text) < end:
        tail = (number + 1) * 2654435761 * (line * line + 7) & 0xFFFFFFFF
        text += f"memir-swap {name} page {number:06d} line {line:03d} {tail:08x}\n".encode()
        line += 1
    return (bytes(start) + text[: end - start]).ljust(4096, b"\0")


def write(folder: Path) -> None:
    """Everything below a folder that is laid over the guest's root."""
    (folder / "bin").mkdir()
    command = ["gcc", "-O2", "-static", "-w", "-o", str(folder / "bin" / "holder"), str(HERE / "holder.c")]
    subprocess.run(command, check=True)
    shutil.copy(HERE / "held.sh", folder / "scenario.sh")
