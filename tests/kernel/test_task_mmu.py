# SPDX-License-Identifier: Apache-2.0
"""Names and resident bytes of regions: each process has one stack and one vdso, and never more than it maps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel.pagetable import U64, Absent, Mappings
from memir.kernel.space import AddressSpace
from memir.kernel.task_mmu import FLAGS, names, permissions, resident_swapped, special
from memir.kernel.vma import vmas
from memir.kube.ram import RamSource
from tests.kernel import held

NodeOf = Callable[[str], RamSource]


def test_names_and_sizes(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    kernel = node.kernel
    mm = np.unique(kernel.pointer(node.processes.living, "task_struct", "mm"))
    mm = mm[mm != 0]
    every = vmas(kernel, mm)
    shown = names(kernel, mm, every)
    for name in ("[stack]", "[vdso]", "[vvar]"):
        owners = [int(every.owner[row]) for row, text in enumerate(shown) if text == name]
        assert owners == sorted(set(owners)) and len(owners) == len(mm), name
    assert all(name is None for name, file in zip(shown, every.file.tolist(), strict=True) if file)
    own, private = special(kernel, np.where(every.file == 0, every.vma, np.uint64(0)))
    assert [name for name, is_special in zip(shown, own.tolist(), strict=True) if is_special] == [
        name for name in shown if name and name.startswith("[v")
    ]
    assert ((private != 0) == own).all()
    sizes, gone = resident_swapped(kernel, mm, every)
    assert gone is None or not gone.any()
    assert (sizes >= 0).all() and (sizes <= (every.end - every.start).astype(np.int64)).all()
    stacks = np.array([name == "[stack]" for name in shown])
    assert (sizes[stacks] >= 4096).all()


def test_permissions() -> None:
    flags = np.array([0, 1, 3, 5, 7, 0x83], np.uint64)
    assert permissions(flags) == ["---p", "r--p", "rw-p", "r-xp", "rwxp", "rw-s"]
    assert len(set(FLAGS.values())) == len(FLAGS)


def test_nothing_is_swapped_without_swap(node_of: NodeOf) -> None:
    """A node without swap has none in any region."""
    node = node_of("s-7.2-small-la57")
    mm, every = node.regions
    sizes = resident_swapped(node.kernel, mm, every)[1]
    assert sizes is not None and sizes.tolist() == [0] * len(every)


def test_page_tables_are_walked_once_where_swap_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes in RAM and bytes in swap of each process together, as its page tables have them, by one walk."""
    kernel, (mm, every) = held.node().kernel, held.node().regions
    walks: list[int] = []
    walk = AddressSpace.user_mappings

    def counted(space: AddressSpace, roots: U64, absent: Absent | None = None) -> Mappings:
        walks.append(len(roots))
        return walk(space, roots, absent)

    monkeypatch.setattr(AddressSpace, "user_mappings", counted)
    rss, gone = resident_swapped(kernel, mm, every)
    assert walks == [len(mm)] and gone is not None
    for record in held.swapped().values():
        own = mm[every.owner] == held.mm_of(kernel, record["pid"])
        home = own & (every.start <= np.uint64(record["address"])) & (np.uint64(record["address"]) < every.end)
        assert abs(int(gone[own].sum()) - (record["swapped_kib"] << 10)) <= 16 << 10
        assert gone[home].sum() == record["pages"] << 12 and not rss[home].any()
