# SPDX-License-Identifier: Apache-2.0
"""Lengths of the kernel's arrays that neither BTF nor kallsyms tell, read from the arrays themselves.

The gap to the next symbol is no length: what lies in it may have no symbol (6.1 would have 42 taint flags for its 19).
"""

from __future__ import annotations

import numpy as np

from memir.image.memory import PhysicalMemory
from memir.symbols.anchors import Anchors

TAINT_FLAGS_AT_LEAST = 18
"""TAINT_FLAGS_COUNT of every kernel since 4.17 (bc4f2f5469ac, TAINT_RANDSTRUCT) or more: later ones append."""
_MOST = 64  # bits of the mask that the flags are of


def array_lengths(memory: PhysicalMemory, anchors: Anchors) -> dict[str, int]:
    """Elements of arrays by symbol name; one that cannot be read is left out."""
    count = _taint_flags(memory, anchors)
    return {"taint_flags": count} if count else {}


def _taint_flags(memory: PhysicalMemory, anchors: Anchors) -> int:
    """kernel/panic.c: entries whose c_true is a capital letter and c_false a blank (G for P); 0: not known."""
    address, struct = anchors.symbols.get("taint_flags"), anchors.btf.struct("taint_flag") if anchors.btf else None
    if address is None or struct is None:
        return 0
    size, members = struct
    raw, _ = memory.read_partial(anchors.image_pa(address), size * _MOST)
    entries = np.frombuffer(raw[: len(raw) // size * size], np.uint8).reshape(-1, size)
    on, off = (entries[:, members[name].offset] for name in ("c_true", "c_false"))
    sound = (on >= ord("A")) & (on <= ord("Z")) & ((off == ord(" ")) | (off == ord("G")))
    count = int(sound.argmin()) if not sound.all() else len(sound)
    return count if count >= TAINT_FLAGS_AT_LEAST else 0
