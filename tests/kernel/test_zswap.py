# SPDX-License-Identifier: Apache-2.0
"""Pages that zswap holds, in zbud, zsmalloc and z3fold, by three compressors, byte for byte as the guest wrote them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from memir.kernel.mm import page_roots
from memir.kernel.swap import swap_of
from memir.kernel.zswap import Zswap, zswap
from tests.hunt.hunting import planted
from tests.images import ROOT
from tests.kernel.held import ZSWAP, mm_of, node, swapped
from tests.lab.held import page


def stored() -> int:
    """How many pages the kernel said that zswap has."""
    text = (ROOT / "samples" / f"{ZSWAP}.held.txt").read_text()
    return int(re.findall(r"stored_pages:([0-9]+)", text)[0])


def test_zswap_has_as_many_pages_as_the_kernel_counts() -> None:
    kernel = node(ZSWAP).kernel
    (space,) = swap_of(kernel).spaces.values()
    own = zswap(kernel, space.type, space.pages)
    assert own is not None and len(own) == stored() and (space.name or "").startswith("zram")
    every = np.arange(space.pages)
    assert int(own.there(every).sum()) == stored() and not own.there(every[:1]).any()
    assert own.pages(every[:1]) == [None] and isinstance(space.stores[0], Zswap)
    assert zswap(kernel, 5, 100) is None  # no swap space has this number


@pytest.mark.parametrize("name", ["lzo", "lz4", "zstd"])
def test_memory_of_processes_is_what_they_wrote(name: str) -> None:
    """lzo: zbud, with a header before each; lz4: zsmalloc; zstd: z3fold. What zswap refuses lies on the device."""
    kernel, record = node(ZSWAP).kernel, swapped(ZSWAP)[name]
    va = np.uint64(record["address"]) + np.arange(record["pages"], dtype=np.uint64) * np.uint64(4096)
    root = np.repeat(page_roots(kernel, mm_of(kernel, record["pid"], ZSWAP)), len(va))
    pa, known = kernel.space.user_physical(root, va, swap_of(kernel).places)
    data, there = kernel.memory.gather(pa, 4096)
    assert known.all() and there.all()
    assert all(data[row].tobytes() == page(name, row) for row in range(record["pages"]))
    assert not [gap for gap in kernel.gaps if gap.kind == "zswap"]


def test_hostile_entries_are_gaps() -> None:
    """A length beyond a page, and a pool of an unknown kind: left out and counted, never read."""
    kernel = node(ZSWAP).kernel
    (space,) = swap_of(kernel).spaces.values()
    root = kernel.pointers(np.array([kernel.symbols["zswap_trees"]], np.uint64))
    entry = kernel.container(kernel.pointer(root, "zswap_tree", "rbroot.rb_node"), "zswap_entry", "rbnode")
    place = int(kernel.space.physical(kernel.embedded(entry, "zswap_entry", "length"))[0][0])
    other = planted(node(ZSWAP), {place: b"\xff\xff\xff\xff"}).kernel
    own = zswap(other, space.type, space.pages)
    assert own is not None and len(own) == stored() - 1
    assert [gap.count for gap in other.gaps if gap.kind == "zswap entry"] == [1]
    pool = kernel.pointer(entry, "zswap_entry", "pool")
    driver = kernel.pointer(kernel.pointer(pool, "zswap_pool", "zpool"), "zpool", "driver")
    name = int(kernel.space.physical(kernel.pointer(driver, "zpool_driver", "type"))[0][0])
    other = planted(node(ZSWAP), {name: b"z9fold\0"}).kernel
    own = zswap(other, space.type, space.pages)
    (gap,) = [gap for gap in other.gaps if gap.kind == "zswap"]
    assert own is not None and len(own) == stored() - gap.count and gap.count > 100
    assert (gap.where, gap.why) == (f"type {space.type}: z9fold", "pages in a pool of a kind that is not read")
