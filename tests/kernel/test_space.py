# SPDX-License-Identifier: Apache-2.0
"""The kernel's address space: every way to a physical address, on real kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.errors import KernelError
from memir.gaps import Gaps
from memir.kernel.space import open_space, u64
from memir.kube.ram import RamSource
from tests.damage import damaged, zeroed

NodeOf = Callable[[str], RamSource]


def test_u64() -> None:
    assert u64(1, 2**64 - 1).tolist() == [1, 2**64 - 1]
    assert u64().dtype == np.uint64


def test_the_kernels_banner_is_read_through_the_image(node_of: NodeOf, image: str) -> None:
    kernel = node_of(image).kernel
    if "linux_banner" not in kernel.symbols:  # a kernel that has no names for its data
        assert image == "arm64-6.1-small-n1"
        return
    pa, known = kernel.space.physical(u64(kernel.symbols["linux_banner"]))
    assert known.tolist() == [True]
    assert bytes(kernel.memory.read(int(pa[0]), 14)) == b"Linux version "


def test_direct_map_and_page_tables_agree(node_of: NodeOf, image: str) -> None:
    """A task in the direct map, by subtraction and by the tables of the kernel itself."""
    from memir.kernel.pagetable import translate

    node = node_of(image)
    space, task = node.kernel.space, node.processes.task
    pa, known = space.physical(task)
    walked, ok = translate(space.memory, space.fmt, u64(space.root), task)
    assert known.all() and ok.all()
    assert np.array_equal(pa, walked)
    assert np.array_equal(task, pa + np.uint64(space.direct_delta))


@given(
    start=st.integers(1 << 63, (1 << 64) - 1), size=st.integers(0, 1 << 52),
    shift=st.integers(-(1 << 52), 1 << 52) | st.sampled_from([0, 1, -1]), data=st.data(),
)  # fmt: skip
def test_the_direct_map_is_one_subtraction(
    node_of: NodeOf, start: int, size: int, shift: int, data: st.DataObject
) -> None:
    """As plain integers have it, wherever it lies; arm64's may begin below physical address 0."""
    space, top = node_of("s-6.1-small").kernel.space, 1 << 64
    delta, end = (start - shift) % top, min(start + size, top - 1)
    moved = dataclasses.replace(space, direct=(start, end), direct_delta=delta, image=(0, 0), root=0)
    near = st.sampled_from([start, end, delta, (delta + space.memory.end) % top, 0, top - 1])
    beside = st.tuples(near, st.integers(-2, 2)).map(sum)
    asked = [address % top for address in data.draw(st.lists(beside | st.integers(0, top)))]
    pa, known = moved.physical(u64(*asked))
    inside = [start <= va < end and (va - delta) % top < space.memory.end for va in asked]
    tables = (space.is_kernel_pointer(u64(*asked)) & ~np.array(inside, bool)).tolist()
    assert [fine for fine, other in zip(known.tolist(), tables, strict=True) if not other] == [
        direct for direct, other in zip(inside, tables, strict=True) if not other
    ]
    assert [at for at, direct in zip(pa.tolist(), inside, strict=True) if direct] == [
        (va - delta) % top for va, direct in zip(asked, inside, strict=True) if direct
    ]


def test_struct_pages_go_both_ways(node_of: NodeOf, image: str) -> None:
    space = node_of(image).kernel.space
    first = space.memory.ranges[0].start
    pa = np.arange(first, first + (64 << 12), 4096, dtype=np.uint64)
    assert np.array_equal(space.page_physical(space.struct_page(pa)), pa)
    assert space.is_kernel_pointer(space.struct_page(pa)).all()


def test_user_addresses(node_of: NodeOf, image: str) -> None:
    """The stack of process 1 begins with its arguments; a kernel's address is none of a user's."""
    node = node_of(image)
    kernel = node.kernel
    task = node.processes.task[[row.pid == 1 for row in node.processes.rows]]
    mm = kernel.read(task, "task_struct", "mm").astype(np.uint64)
    pgd, known = kernel.space.physical(kernel.read(mm, "mm_struct", "pgd").astype(np.uint64))
    assert known.all()
    start = kernel.read(mm, "mm_struct", "arg_start").astype(np.uint64)
    pa, ok = kernel.space.user_physical(pgd, start)
    assert ok.all()
    assert bytes(kernel.memory.read(int(pa[0]), 5)) in (b"/bin/", b"/sbin", b"/usr/")
    assert int(start[0]) < kernel.space.user_limit
    assert not kernel.space.user_physical(pgd, task)[1].any()
    mapped = kernel.space.user_mappings(pgd)
    assert len(mapped.va) > 0 and int(mapped.va.max()) < kernel.space.user_limit
    assert np.any(mapped.va == (start & ~np.uint64(0xFFF)))


def test_nothing_to_go_by(node_of: NodeOf) -> None:
    """No top table and no word of the kernel about its layout: there is no address space, and the error says where."""
    kernel = node_of("s-6.1-small").kernel
    root, base = kernel.space.root >> 12, kernel.anchors.image_pa(kernel.symbols["page_offset_base"]) >> 12
    torn = damaged(kernel.memory, zeroed([root, base]))
    with pytest.raises(KernelError, match="no page table maps the kernel"):
        open_space(torn, kernel.anchors, Gaps())
