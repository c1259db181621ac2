# SPDX-License-Identifier: Apache-2.0
"""Where z3fold has its pages: first, middle and last of a frame, and a page alone; what is planted leads nowhere. What
lies there, byte for byte: test_zswap."""

from __future__ import annotations

import numpy as np
import pytest

from memir.kernel import rbtree
from memir.kernel.engine import Kernel
from memir.kernel.pagetable import U64
from memir.kernel.z3fold import content, module_types
from memir.symbols.types import KernelTypes
from tests.hunt.hunting import planted
from tests.kernel.held import ZSWAP, node

PAGE = np.uint64(4096)


def handles(kernel: Kernel) -> tuple[U64, U64]:
    """(driver uint64[1], handles) of the z3fold pool."""
    tree = kernel.pointers(np.array([kernel.symbols["zswap_trees"]], np.uint64))
    root = kernel.pointer(tree, "zswap_tree", "rbroot.rb_node")
    entry = kernel.container(rbtree.nodes(kernel, root, "zswap tree")[1], "zswap_entry", "rbnode")
    entry = entry[kernel.read(entry, "zswap_entry", "length") > 0]
    driver = kernel.pointer(
        kernel.pointer(kernel.pointer(entry, "zswap_entry", "pool"), "zswap_pool", "zpool"), "zpool", "driver"
    )
    names = kernel.strings(kernel.pointer(driver, "zpool_driver", "type"))
    own = np.array([name == b"z3fold" for name in names])
    return driver[own][:1], kernel.read(entry[own], "zswap_entry", "handle").astype(np.uint64)


@pytest.fixture(scope="module")
def types() -> KernelTypes:
    kernel = node(ZSWAP).kernel
    made = module_types(kernel, handles(kernel)[0])
    assert made is not None
    return made


def test_each_page_has_a_place_of_its_own(types: KernelTypes) -> None:
    """As many in a frame as its header counts, none within the header, each in a chunk of 64 bytes."""
    kernel = node(ZSWAP).kernel
    place = content(kernel, types, handles(kernel)[1])
    assert len(np.unique(place)) == len(place) == 412
    frame, offset = place & ~(PAGE - np.uint64(1)), place & (PAGE - np.uint64(1))
    assert (offset % np.uint64(64) == 0).all() and (offset >= types.size("z3fold_header")).all()
    header, count = np.unique(frame, return_counts=True)
    sizes = np.stack([
        kernel.pointers(header + np.uint64(types.offset("z3fold_header", f"{name}_chunks"))) & np.uint64(0xFFFF)
        for name in ("first", "middle", "last")
    ])  # fmt: skip
    assert ((sizes > 0).sum(axis=0) == count).all() and count.max() == 3


def test_a_page_alone_and_words_that_lead_nowhere(types: KernelTypes) -> None:
    kernel = node(ZSWAP).kernel
    handle = handles(kernel)[1][:1]
    frame = content(kernel, types, handle) & ~(PAGE - np.uint64(1))
    assert content(kernel, types, frame | np.uint64(1)).tolist() == frame.tolist()
    assert content(kernel, types, np.array([0, 8, 1, (1 << 64) - 8], np.uint64)).tolist() == [0, 0, 0, 0]
    word = int(kernel.space.physical(handle)[0][0])
    for planted_word in (b"\xff" * 8, b"\0" * 8, b"AAAAAAAA"):
        assert content(planted(node(ZSWAP), {word: planted_word}).kernel, types, handle).tolist() == [0]


def test_a_module_that_is_not_there() -> None:
    assert module_types(node(ZSWAP).kernel, np.zeros(1, np.uint64)) is None
