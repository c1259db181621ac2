# SPDX-License-Identifier: Apache-2.0
"""A small part of a real vmlinuz as a bzImage of its own: python -m tests.lab.thin_kernel VMLINUZ IMAGE OUT

Its build id, the first pages of its text and read-only data, and of the tables of places that the kernel writes itself
and of the relocations what is about them; entries for the rest are zeros. IMAGE: of that build, for its symbols.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import memir
from memir.kernel.bzimage import open_kernel
from memir.kernel.vmlinux import Vmlinux
from memir.ram_node import of_ram
from tests.kernel.made_kernel import bzimage, elf

TEXT, DATA = 256 << 10, 64 << 10
_TABLES = {".altinstructions": 12, ".retpoline_sites": 4, ".return_sites": 4, ".smp_locks": 4}
_NAMED = {"jump_table": ("__start___jump_table", "__stop___jump_table", 16),
          "static_call": ("__start_static_call_sites", "__stop_static_call_sites", 8)}  # fmt: skip


def main(vmlinuz: Path, image: Path, out: Path) -> None:
    """Write the part."""
    kernel = Vmlinux(open_kernel(vmlinuz))
    text, data = kernel.sections[".text"].address, kernel.sections[".rodata"].address
    sections = {".text": (text, kernel.content(".text")[:TEXT]), ".rodata": (data, kernel.content(".rodata")[:DATA]),
                ".data": (kernel.sections[".data"].address, kernel.content(".data")[:16]),
                ".notes": (kernel.sections[".notes"].address, kernel.content(".notes"))}  # fmt: skip

    def near(place: np.ndarray) -> np.ndarray:
        return ((place >= text) & (place < text + TEXT)) | ((place >= data) & (place < data + DATA))

    def thinned(start: int, content: np.ndarray, entry: int) -> np.ndarray:
        rows = content[: len(content) // entry * entry].reshape(-1, entry).copy()
        distance = np.ascontiguousarray(rows[:, :4]).view("<i4")[:, 0].astype(np.int64)
        rows[~near(start + np.arange(len(rows)) * entry + distance)] = 0
        return rows.reshape(-1)

    for name, entry in _TABLES.items():
        if name in kernel.sections:
            start = kernel.sections[name].address
            sections[name] = start, thinned(start, kernel.content(name), entry)
    paravirt = kernel.content(".parainstructions").reshape(-1, 16).copy()
    paravirt[~near(np.ascontiguousarray(paravirt[:, :8]).view("<i8")[:, 0])] = 0
    sections[".parainstructions"] = kernel.sections[".parainstructions"].address, paravirt.reshape(-1)
    with memir.open(image) as node:
        symbols = of_ram(node).source.kernel.symbols
        shift = symbols["_text"] - (text + (1 << 64))
        for name, (first, last, entry) in _NAMED.items():
            start, end = (symbols[symbol] - (1 << 64) - shift for symbol in (first, last))
            sections[name] = start, thinned(start, kernel.between(start, end), entry)
        start, end = (symbols[symbol] - (1 << 64) - shift for symbol in ("__start_mcount_loc", "__stop_mcount_loc"))
        entries = kernel.between(start, end).view("<i8").copy()
        entries[~near(entries)] = 0
        sections["mcount_loc"] = start, entries.view(np.uint8)
    moved = kernel.relocations()
    assert moved is not None
    groups = [group[near(group)].tolist() for group in (moved.words, moved.inverse, moved.quads)]
    content = elf({name: (address, part.tobytes()) for name, (address, part) in sections.items()}, groups)
    out.write_bytes(bzimage(content, "xz"))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
