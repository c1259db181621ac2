# SPDX-License-Identifier: Apache-2.0
"""What small/frames.c recorded of a machine's page frames, processes and cgroups just before it was stopped."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

END = b"memir-frames-end"
_LINE = re.compile(r"^(\w+(?:\(\w+\))?):?\s+(\d+)", re.M)
_DONE, _FLAGS, _COUNT, _CGROUP, _ROLLUP, _PAGES, _STAT, _COMM, _MEMINFO = range(9)


def _none() -> NDArray[np.uint64]:
    return np.zeros(0, np.uint64)


@dataclass(eq=False)
class Recorded:
    """flags, count, cgroup: uint64, a frame each: /proc/kpageflags, kpagecount, kpagecgroup (an inode number).

    rollup: smaps_rollup's lines in KiB, by pid. pages: (address, entry of pagemap), uint64[n, 2], by pid. inodes,
    stat: inode number and memory.stat's lines, by cgroup's path. comm: by pid. meminfo: KiB.
    """

    flags: NDArray[np.uint64] = field(default_factory=_none)
    count: NDArray[np.uint64] = field(default_factory=_none)
    cgroup: NDArray[np.uint64] = field(default_factory=_none)
    rollup: dict[int, dict[str, int]] = field(default_factory=dict)
    pages: dict[int, NDArray[np.uint64]] = field(default_factory=dict)
    inodes: dict[str, int] = field(default_factory=dict)
    stat: dict[str, dict[str, int]] = field(default_factory=dict)
    comm: dict[int, str] = field(default_factory=dict)
    meminfo: dict[str, int] = field(default_factory=dict)


def _numbers(text: bytes) -> dict[str, int]:
    return {name: int(number) for name, number in _LINE.findall(text.decode())}


def read(path: Path) -> Recorded:
    """A recording, packed or not. ValueError: it does not end as one."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompress(data)
    if not data.endswith(END):
        raise ValueError(f"{path}: the recording does not end with {END.decode()}")
    told = Recorded()
    columns: dict[int, Any] = {_FLAGS: "flags", _COUNT: "count", _CGROUP: "cgroup"}
    place = 0
    while place < len(data):
        kind, number, size = struct.unpack_from("<IIQ", data, place)
        body = data[place + 16 : place + 16 + size]
        place += 16 + size + (-size) % 8
        if kind in columns:
            setattr(told, columns[kind], np.frombuffer(body, np.uint64))
        elif kind == _ROLLUP:
            told.rollup[number] = _numbers(body.split(b"\n", 1)[1])
        elif kind == _PAGES:
            told.pages[number] = np.frombuffer(body, np.uint64).reshape(-1, 2)
        elif kind == _COMM:
            told.comm[number] = body.decode(errors="backslashreplace").rstrip("\n")
        elif kind == _MEMINFO:
            told.meminfo = _numbers(body)
        elif kind == _STAT:
            name, text = body[8:].split(b"\0", 1)
            folder = name.decode().removeprefix("/sys/fs/cgroup") or "/"
            told.inodes[folder] = int.from_bytes(body[:8], "little")
            told.stat[folder] = _numbers(text)
    return told
