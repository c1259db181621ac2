# SPDX-License-Identifier: Apache-2.0
"""Blocks on processors' lists: free by all else that is known of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel import page
from memir.kernel.pcp import blocks
from memir.kube.ram import RamSource
from tests.kernel.fake import fake_kernel

NodeOf = Callable[[str], RamSource]


def test_blocks_are_aligned_apart_and_used_by_nobody(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    first, order = blocks(node.kernel)
    if not node.kernel.types.has("zone", "per_cpu_pageset"):  # 5.14: single pages alone before
        assert image.startswith("s-5.10") and not len(first)
        return
    assert set(order.tolist()) <= {1, 2, 3, 9}
    assert not (first & ((np.uint64(1) << order.astype(np.uint64)) - np.uint64(1))).any()
    every = np.concatenate(
        [first[order == size, None] + np.arange(1 << size, dtype=np.uint64) for size in (1, 2, 3, 9)], axis=None
    )
    assert len(np.unique(every)) == len(every)
    use = node.pages.use_of(every)
    assert not np.isin(use, (page.ANON, page.FILE)).any()
    data, ok = node.kernel.memory.gather(every << np.uint64(12), 4096)
    assert ok.all() and not data.any()  # the images were booted with init_on_free=1


def test_the_node_has_huge_ones(node_of: NodeOf, image: str) -> None:
    if not image.startswith("node-"):
        assert len(node_of(image).pages.use)  # small nodes may have none
        return
    _, order = blocks(node_of(image).kernel)
    assert np.count_nonzero(order == 9) >= 3


def test_no_zones() -> None:
    first, order = blocks(fake_kernel({}))
    assert len(first) == len(order) == 0
