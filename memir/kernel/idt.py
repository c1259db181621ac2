# SPDX-License-Identifier: Apache-2.0
"""arch/x86/kernel/idt.c: the interrupt descriptor table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.code_address import Hook

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_VECTORS = 256
_PRESENT = 0x8000  # bit p of idt_bits
KIND = "interrupt table"


def interrupts(kernel: Kernel) -> list[Hook]:
    """Every vector of idt_table that is present, by number; none on processors that have no such table (arm64)."""
    if kernel.anchors.arch != "x86_64":
        return []
    place = kernel.symbols.get("idt_table")
    if place is None:
        kernel.gaps.add(KIND, "", "no symbol `idt_table`")
        return []
    gate = np.uint64(place) + np.arange(_VECTORS, dtype=np.uint64) * np.uint64(kernel.types.size("gate_struct"))
    raw, read = kernel.read_bytes(gate, 12)
    words = raw.view("<u2").astype(np.uint64)
    target = words[:, 0] | words[:, 3] << np.uint64(16) | words[:, 4] << np.uint64(32) | words[:, 5] << np.uint64(48)
    present = read & ((words[:, 2] & np.uint64(_PRESENT)) != 0)
    if not present.any():
        kernel.gaps.add(KIND, f"{place:#x}", "no vector is present")
    return [
        Hook("interrupt", f"vector {vector}", int(gate[vector]), int(target[vector]))
        for vector in np.flatnonzero(present).tolist()
    ]
