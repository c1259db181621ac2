# SPDX-License-Identifier: Apache-2.0
"""Struct pages as bytes: tails and their heads, and what page_type says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel import page, page_struct
from memir.kernel.page import FREE, UNKNOWN
from memir.kernel.slab import heads
from memir.kube.ram import RamSource

NodeOf = Callable[[str], RamSource]


def test_struct_pages_and_their_heads(node_of: NodeOf, image: str) -> None:
    """A tail page gives its head's members and how far behind it lies; what is no tail is itself."""
    kernel = node_of(image).kernel
    layout = page_struct.Layout(kernel)
    first = int(node_of(image).pages.first[-1])
    frames = np.arange(first, first + 4096, dtype=np.uint64)
    raw, ok = page_struct.struct_pages(kernel, layout, first, 4096)
    head, behind, tail = page_struct.of_heads(kernel, layout, raw, frames)
    assert ok.all() and np.array_equal(head[~tail], raw[~tail]) and not behind[~tail].any()
    assert np.array_equal(
        heads(kernel, kernel.space.struct_page(frames << np.uint64(12))),
        kernel.space.struct_page((frames - behind) << np.uint64(12)),
    )
    assert np.array_equal(head[tail], raw[tail.nonzero()[0] - behind[tail].astype(np.int64)])


def test_what_page_type_says(node_of: NodeOf, image: str) -> None:
    """The head of a free block is free; what has a type of its own is no user's."""
    kernel, pages = node_of(image).kernel, node_of(image).pages
    layout = page_struct.Layout(kernel)
    first, count = int(pages.first[-1]), min(int(pages.count[-1]), page_struct.BLOCK)
    raw, ok = page_struct.struct_pages(kernel, layout, first, count)
    kind, use = layout.column(raw, layout.type, "<u4"), pages.use[-int(pages.count[-1]) :][:count]
    buddy, typed = layout.is_buddy(kind), layout.is_typed(kind)
    assert buddy.any()
    assert (use[buddy & ok] == FREE).all()
    assert set(use[typed & ~buddy & ok].tolist()) <= {page.KERNEL, UNKNOWN}
