# SPDX-License-Identifier: Apache-2.0
"""include/linux/rmap.h: which processes an anonymous page belongs to, though no page table names it any more.

A part of a huge page that was unmapped, a page on its way to swap or to another place: its struct page still
leads to the regions it was made for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import page, rbtree
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import spread

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_ANON = np.uint64(1)
_FLAGS = np.uint64(3)


def anonymous_regions(kernel: Kernel, mapping: U64) -> tuple[NDArray[np.int64], U64]:
    """Regions of anonymous pages: (index of the page, vm_area_struct) for each region that shares its
    anon_vma.

    mapping: page.mapping values (uint64[n]); those that are no anon_vma (KSM, files) give none.
    """
    plain = (mapping & _FLAGS) == _ANON
    anon = np.where(plain, mapping & ~_FLAGS, np.uint64(0))
    unique, back = np.unique(anon, return_inverse=True)
    root = kernel.pointer(unique, "anon_vma", "rb_root.rb_root.rb_node", gap=False)
    tree, node = rbtree.nodes(kernel, root, "anon_vma")
    link = kernel.container(node, "anon_vma_chain", "rb")
    same = kernel.pointer(link, "anon_vma_chain", "anon_vma", gap=False) == unique[tree]
    tree, link = tree[same], link[same]
    vma = kernel.pointer(link, "anon_vma_chain", "vma", gap=False)
    order = np.argsort(tree, kind="stable")
    tree, vma = tree[order], vma[order]
    low, high = np.searchsorted(tree, back), np.searchsorted(tree, back, "right")
    count = np.where(anon != 0, high - low, 0)
    page, step = spread(count)
    return page, vma[low[page] + step]


def is_of(kernel: Kernel, vma: U64, index: U64, pa: U64) -> Bools:
    """Which frames are anonymous pages of just this place: of the region's own anon_vma, or of one it was forked from.

    A page table is read before or after the frame: meanwhile that may have become another process's. vma: the region;
    index: linear_page_index(), the region's vm_pgoff and the pages up to there; pa: physical address. bool[n].
    """
    mapping, place = page.owners(kernel, pa >> np.uint64(12))
    whose, of = (
        kernel.pointer(known, "anon_vma", "root", gap=False)
        for known in (np.where((mapping & _FLAGS) == _ANON, mapping & ~_FLAGS, np.uint64(0)),
                      kernel.pointer(vma, "vm_area_struct", "anon_vma", gap=False))
    )  # fmt: skip
    own: Bools = (whose != 0) & (whose == of) & (place == index)
    return own
