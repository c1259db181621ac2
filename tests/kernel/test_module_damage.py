# SPDX-License-Identifier: Apache-2.0
"""Damage in the types of zram and z3fold, which their modules bring along: a page in swap has the bytes that it had, or
is not read, and that is a gap. Never other bytes, never an end of everything. Types of overlays: test_overlayfs."""

from __future__ import annotations

import random

import numpy as np
import pytest

from memir.kernel import module
from memir.kernel.swap import swap_of
from memir.kube.ram import RamSource
from tests.hunt.hunting import planted
from tests.kernel.held import NAME, ZSWAP, node

STEP, LENGTH = 256, 64


def swapped(source: RamSource) -> dict[tuple[int, int, int], bytes]:
    """Each page that is in swap, by its space, the row of its store and its number."""
    number, pages = np.arange(1, 4096), dict[tuple[int, int, int], bytes]()
    for kind, space in swap_of(source.kernel).spaces.items():
        for row, store in enumerate(space.stores):
            own = number[store.there(number)]
            every = zip(own.tolist(), store.pages(own), strict=True)
            pages |= {(kind, row, each): page for each, page in every if page}
    return pages


@pytest.mark.parametrize("name", [NAME, ZSWAP])
def test_pages_in_swap(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[tuple[int, int]] = set()
    before = module.read_virtual

    def noted(kernel: object, address: int, size: int) -> bytes | None:
        read.add((address, size))
        return before(kernel, address, size)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "read_virtual", noted)
    clean = swapped(planted(node(name), {}))
    assert len(clean) == 1644 and len(read) == (1 if name == NAME else 2)
    chance, lost = random.Random(name), 0
    for address, size in sorted(read):
        at = np.arange(address, address + size - LENGTH, STEP, dtype=np.uint64)
        place, there = node(name).kernel.space.physical(at)
        assert there.all()
        for where in place[(place & 0xFFF) <= 4096 - LENGTH].tolist():
            for words in (bytes(LENGTH), chance.randbytes(LENGTH)):
                torn = planted(node(name), {where: words})
                have = swapped(torn)
                assert {key: clean.get(key) for key in have} == have
                told = any(gap.kind in ("module BTF", "zram", "zswap") for gap in torn.kernel.gaps)
                assert told or len(have) == len(clean), hex(where)
                lost += len(have) < len(clean)
    assert lost
