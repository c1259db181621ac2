# SPDX-License-Identifier: Apache-2.0
"""Which directories are layers of which overlays: a container's files lie on them, never on the overlay itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel import fs, overlayfs
from memir.kernel.pagetable import U64
from memir.kernel.rows import spread

if TYPE_CHECKING:
    from memir.kernel.dcache import Dentries
    from memir.kernel.engine import Kernel

MAX_LAYERS = 512
"""Layers of one overlay: the kernel itself takes 500 (OVL_MAX_STACK)."""
MAX_DEPTH = 512
"""Directories above a file that are looked at: paths are at most 4096 bytes long, and real ones far from as deep."""


def overlays_of(kernel: Kernel, superblocks: U64) -> U64:
    """Those of the superblocks (struct super_block, uint64[n]) that are overlays, in the same order."""
    if not len(superblocks):
        return superblocks
    return superblocks[[kind == b"overlay" for kind in fs.types_of(kernel, superblocks)]]


def layer_roots(kernel: Kernel, overlays: U64) -> dict[int, list[tuple[int, bool]]]:
    """Directories (struct dentry) that are layers: (superblock of the overlay, whether it is the upper one).

    An overlay that claims more than MAX_LAYERS is left out and counted as a gap.
    """
    roots: dict[int, list[tuple[int, bool]]] = defaultdict(list)
    types = overlayfs.overlay_types(kernel, overlays) if len(overlays) else None
    if types is None:
        return roots
    info = kernel.pointer(overlays, "super_block", "s_fs_info")
    array = kernel.pointers(info + np.uint64(types.offset("ovl_fs", "layers")))
    count = kernel.pointers(info + np.uint64(types.offset("ovl_fs", "numlayer"))) & np.uint64(0xFFFFFFFF)
    layers = count.astype(int)
    absurd = layers > MAX_LAYERS
    kernel.gaps.add("overlay", "numlayer", f"more than {MAX_LAYERS} layers", int(absurd.sum()))
    layers = np.where(absurd | (array == 0), 0, layers)
    owner, number = spread(layers)
    slot = array[owner] + (number * types.size("ovl_layer") + types.offset("ovl_layer", "mnt")).astype(np.uint64)
    dentries = kernel.pointer(kernel.pointers(slot), "vfsmount", "mnt_root", gap=False)
    for row, place, dentry in zip(owner.tolist(), number.tolist(), dentries.tolist(), strict=True):
        if dentry:
            roots[dentry].append((int(overlays[row]), place == 0))
    return roots


def nearest_above(dentries: Dentries, dentry: int, chosen: Container[int]) -> int | None:
    """The nearest of the chosen directories (struct dentry) that a file lies in, itself included; None: in none."""
    for _ in range(MAX_DEPTH):
        if dentry in chosen:
            return dentry
        above = dentries.parent(dentry)
        if above in (dentry, 0):
            return None
        dentry = above
    return None
