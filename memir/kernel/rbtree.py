# SPDX-License-Identifier: Apache-2.0
"""include/linux/rbtree.h: many red-black trees walked level by level, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.pagetable import U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MAX_HEIGHT = 64  # twice the logarithm of any count that fits in RAM
_MAX_NODES = 1 << 24  # nodes of all trees walked at once; more is a loop


def nodes(kernel: Kernel, root: U64, kind: str) -> tuple[NDArray[np.int64], U64]:
    """All nodes of trees given by the rb_node pointers of their roots: (index of the tree, address of the rb_node).

    Order within a tree is by level, not by key. A tree that is deeper or larger than any real one is cut and counted.
    """
    owner = np.flatnonzero(root != 0).astype(np.int64)
    node = root[owner]
    owners, met, total = [], [], 0
    seen: set[tuple[int, int]] = set(zip(owner.tolist(), node.tolist(), strict=True))
    for _ in range(_MAX_HEIGHT):
        if not len(node) or total > _MAX_NODES:
            break
        left, ok = kernel.try_read(node, "rb_node", "rb_left")
        right, _ = kernel.try_read(node, "rb_node", "rb_right")
        kernel.count_unread(kind, node, ok)
        owners.append(owner[ok])
        met.append(node[ok])
        total += int(ok.sum())
        child = np.concatenate((left, right)).astype(np.uint64)
        owner, node = _new(np.concatenate((owner, owner))[child != 0], child[child != 0], seen)
    if len(node):
        kernel.gaps.add(kind, f"{int(node[0]):#x}", "tree too deep or too large", len(node))
    if not met:
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    every, where = np.concatenate(owners), np.concatenate(met)
    order = np.argsort(every, kind="stable")
    return every[order], where[order]


def _new(owner: NDArray[np.int64], node: U64, seen: set[tuple[int, int]]) -> tuple[NDArray[np.int64], U64]:
    """The pairs not met before: a hostile tree may lead back into itself, and would double at every level."""
    pairs = [pair for pair in dict.fromkeys(zip(owner.tolist(), node.tolist(), strict=True)) if pair not in seen]
    seen.update(pairs)
    return np.array([pair[0] for pair in pairs], np.int64), np.array([pair[1] for pair in pairs], np.uint64)
