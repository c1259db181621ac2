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


def test_free_chunks(node_of: NodeOf, image: str) -> None:
    """Those that every struct page says are one free block of the largest kind, and nothing of them is left between."""
    kernel, pages = node_of(image).kernel, node_of(image).pages
    layout, size = page_struct.Layout(kernel), page_struct.CHUNK
    for first, count in zip(pages.first.tolist(), pages.count.tolist(), strict=True):
        raw, ok = page_struct.struct_pages(kernel, layout, first, count)
        head = ok & layout.is_buddy(layout.column(raw, layout.type, "<u4"))
        head &= layout.column(raw, layout.private, "<u8") == 10
        chunks = page_struct.free_chunks(kernel, first, first + count)
        assert chunks.tolist() == [pfn for pfn in (first + head.nonzero()[0]).tolist() if pfn + size <= first + count]
        assert (pages.use_of(page.of_blocks(chunks, 10)) == FREE).all()
        spans = page_struct.between(chunks, first, first + count)
        assert sum(end - low for low, end in spans) == count - size * len(chunks)
        assert all(low < end for low, end in spans) and spans == sorted(spans)


def test_between() -> None:
    free = np.array([1024, 2048, 8192], np.uint64)
    assert page_struct.between(free, 1000, 9216) == [(1000, 1024), (3072, 8192)]
    assert page_struct.between(free[:0], 5, 9) == [(5, 9)]


def test_busy(node_of: NodeOf, image: str) -> None:
    """Without whole free chunks but one: what is left has the frames and uses that it had."""
    pages = node_of(image).pages
    busy, idle = pages.busy()
    assert len(busy.use) + idle == len(pages.use) == int(pages.count.sum()) and idle % page_struct.CHUNK == 0
    assert np.array_equal(busy.use, pages.use_of(busy.pfn()))
    left = np.setdiff1d(pages.pfn(), busy.pfn())
    assert len(left) == idle and (pages.use_of(left) == FREE).all()
    assert not idle or (busy.use == FREE).any()
