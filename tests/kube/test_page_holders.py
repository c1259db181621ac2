# SPDX-License-Identifier: Apache-2.0
"""Groups of frames: each frame in one, those of anonymous memory with the address spaces that map it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np

from memir.kernel.frames import ANONYMOUS, KINDS
from memir.kernel.mm import page_roots
from memir.kernel.page import ANON
from memir.kube.page_holders import MAPPED, NOBODY, REVERSE, groups
from memir.kube.ram import RamSource

NodeOf = Callable[[str], RamSource]


def test_groups(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    every = groups(node)
    assert int(every.frames.sum()) == len(node.pages.use) and (every.frames > 0).all()
    assert (np.diff(every.frames) <= 0).all()
    assert (every.mapped <= every.frames).all() and int(every.kind.max()) < len(KINDS)
    keys = zip(every.kind.tolist(), every.holder.tolist(), every.charge.tolist(), map(tuple, every.spaces),
               every.how.tolist(), strict=True)  # fmt: skip
    assert len(set(keys)) == len(every)
    assert int(every.frames[every.kind == ANONYMOUS].sum()) == int((node.pages.use == ANON).sum())


def test_anonymous_pages_of_each_process(node_of: NodeOf, image: str) -> None:
    """Of every address space as many as its tables map, page by page: written out plainly."""
    node = node_of(image)
    kernel, mm = node.kernel, node.regions[0]
    maps = kernel.space.user_mappings(page_roots(kernel, mm))
    wanted: dict[int, set[int]] = defaultdict(set)
    for owner, pa, size in zip(maps.owner.tolist(), maps.pa.tolist(), maps.size.tolist(), strict=True):
        wanted[int(mm[owner])] |= set(range(pa >> 12, (pa + size) >> 12))
    frames = {owner: np.array(sorted(pages), np.uint64) for owner, pages in wanted.items()}
    expected = {owner: int((node.pages.use_of(pages) == ANON).sum()) for owner, pages in frames.items()}
    every = groups(node)
    have: dict[int, int] = defaultdict(int)
    for row in np.flatnonzero(every.how == MAPPED).tolist():
        if every.kind[row] == ANONYMOUS:
            assert every.spaces[row] and every.mapped[row] == every.frames[row]
            for space in every.spaces[row]:
                have[space] += int(every.frames[row])
    assert have == {owner: count for owner, count in expected.items() if count}
    for row in np.flatnonzero(every.kind == ANONYMOUS).tolist():
        if every.how[row] in (REVERSE, NOBODY):
            assert every.mapped[row] == 0 and bool(every.spaces[row]) == (every.how[row] == REVERSE)
