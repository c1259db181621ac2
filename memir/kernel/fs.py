# SPDX-License-Identifier: Apache-2.0
"""include/linux/fs.h: superblocks and the trees of files on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import dcache
from memir.kernel.list import chain, list_nodes, ring
from memir.kernel.pagetable import U64
from memir.kernel.rows import among

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MAX_TREE = 1 << 20  # more is a loop, or a file system that is not to be walked whole


def types_of(kernel: Kernel, superblock: U64) -> list[bytes | None]:
    """Name of each superblock's file system type ("tmpfs", "overlay")."""
    kind = kernel.pointer(superblock, "super_block", "s_type")
    return kernel.strings(kernel.pointer(kind, "file_system_type", "name"), 32)


def devices(kernel: Kernel, superblock: U64) -> list[str]:
    """`major:minor` of each superblock's device, as mountinfo and maps show it; 0:0 where it cannot be read."""
    number = kernel.read(superblock, "super_block", "s_dev").astype(np.int64).tolist()
    return [f"{device >> 20}:{device & 0xFFFFF}" for device in number]


def superblocks(kernel: Kernel, known: U64) -> U64:
    """Every superblock of the node (super_block.s_list), sorted; some have to be known, as no symbol is needed then."""
    blocks = ring(kernel, "super_block", "s_list", known, "superblock list")
    low, high = kernel.space.direct
    # the list's head lies in the kernel image
    blocks = blocks[(blocks >= np.uint64(low)) & (blocks < np.uint64(high))]
    return blocks[kernel.space.is_kernel_pointer(kernel.pointer(blocks, "super_block", "s_type", gap=False))]


def mounts_of(kernel: Kernel, superblock: U64) -> tuple[NDArray[np.int64], U64]:
    """Mounts of superblocks, whatever namespace they are in: (index of the superblock, struct mount)."""
    if kernel.types.has("mount", "mnt_next_for_sb"):  # 6.18: singly linked
        first = kernel.pointer(superblock, "super_block", "s_mounts")
        return chain(kernel, first, kernel.types.offset("mount", "mnt_next_for_sb"), "superblock's mounts")
    owner, node = list_nodes(kernel, kernel.embedded(superblock, "super_block", "s_mounts"), "superblock's mounts")
    return owner, kernel.container(node, "mount", "mnt_instance")


def tree(kernel: Kernel, superblock: U64, depth: int = 16) -> tuple[NDArray[np.int64], U64]:
    """All dentries in memory below the roots of superblocks, to `depth` levels: (index of the superblock, dentry)."""
    root = kernel.pointer(superblock, "super_block", "s_root")
    owner = np.flatnonzero(root != 0).astype(np.int64)
    dentry = root[owner]
    owners, dentries, total = [owner], [dentry], 0
    seen = dentry
    for _ in range(depth):
        which, child = dcache.children(kernel, dentry)
        new = ~among(child, seen)
        which, child = which[new], child[new]
        seen = np.concatenate((seen, child))
        owner, dentry = owner[which], child
        total += len(child)
        if not len(child):
            break
        if total > _MAX_TREE:
            kernel.gaps.add("dentry tree", f"{int(root[0]):#x}", f"more than {_MAX_TREE} files", len(child))
            break
        owners.append(owner)
        dentries.append(dentry)
    return np.concatenate(owners), np.concatenate(dentries)
