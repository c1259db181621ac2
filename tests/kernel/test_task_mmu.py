# SPDX-License-Identifier: Apache-2.0
"""Names and resident bytes of regions: each process has one stack and one vdso, and never more than it maps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel.task_mmu import FLAGS, names, permissions, resident, special, swapped
from memir.kernel.vma import vmas
from memir.kube.ram import RamSource

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
    sizes = resident(kernel, mm, every)
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
    sizes = swapped(node.kernel, mm, every)
    assert sizes is not None and sizes.tolist() == [0] * len(every)
