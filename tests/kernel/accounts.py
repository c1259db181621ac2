# SPDX-License-Identifier: Apache-2.0
"""Samples as raw bytes, cut and rearranged as tools lay RAM out in files."""

from __future__ import annotations

import functools
from pathlib import Path

from memir.kernel.engine import Kernel
from memir.symbols.locate import locate
from tests.images import case

X86, ARM = "s-6.1-small", "arm64-6.12-small-lpa2"
X86_RAM = [(0x1000, 0x9FC00), (0x100000, 0xBFE0000)]
"""[first, end) of System RAM as /proc/iomem of the machine has it: QEMU's map for 192 MiB."""


@functools.lru_cache(maxsize=2)
def kernel(name: str) -> Kernel:
    memory = case(name).open()
    return Kernel(memory, locate(memory))


@functools.lru_cache(maxsize=1)
def raw(name: str) -> bytes:
    """All of a sample's RAM from address 0, or from its first range for arm64."""
    memory = kernel(name).memory
    return memory.read(memory.ranges[0].start, memory.ranges[0].size)


def put(folder: Path, data: bytes) -> Path:
    path = folder / "image"
    path.write_bytes(data)
    return path
