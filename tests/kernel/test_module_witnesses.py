# SPDX-License-Identifier: Apache-2.0
"""Each witness of modules has what /proc/modules listed; one that lost a module, or was cut, says so."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kernel.module_witnesses import WITNESSES, Modules, is_module, modules, parts
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.damage import damaged, patched
from tests.images import case
from tests.kernel.host import SMALL

NodeOf = Callable[[str], RamSource]
IMAGES = ("s-5.10-small-v1", "s-6.1-small", "s-7.2-small-la57", "arm64-6.12-small-lpa2")


def none() -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.zeros(0, np.uint64)


def names(kernel: Kernel, module: Iterable[int]) -> list[str]:
    return sorted(
        (name or b"").decode()
        for name in kernel.strings(kernel.embedded(u64(*module), "module", "name"), 64)
    )  # fmt: skip


def place(kernel: Kernel, address: int) -> int:
    pa, known = kernel.space.physical(u64(address))
    assert known[0]
    return int(pa[0])


def changed(kernel: Kernel, words: dict[int, int]) -> Kernel:
    """The kernel with other 64-bit words at some virtual addresses."""
    changes = {place(kernel, address): value.to_bytes(8, "little") for address, value in words.items()}
    return Kernel(damaged(kernel.memory, patched(kernel.memory, changes)), kernel.anchors, Gaps())


def kinds(kernel: Kernel) -> set[str]:
    return {gap.kind for gap in kernel.gaps}


def recorded(image: str) -> list[str]:
    """Names of /proc/modules; the small images load two."""
    return sorted(case(image).raw_truth().get("modules", ["overlay", "veth"]))


def test_every_witness_has_every_module(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    every = node.modules
    assert names(node.kernel, every.module.tolist()) == recorded(image)
    lacking = {gap.kind.removeprefix("module ") for gap in node.gaps if gap.kind.startswith("module ")}
    for name in WITNESSES:
        assert every.seen[name].all() == (name not in lacking), name
        assert every.judged[name].tolist() == [name not in lacking] * len(every), name
    assert every.whole.all()
    # a kernel without the symbols of its data has no root of the tree and no bounds to search in
    assert lacking == (set() if "mod_tree" in node.kernel.symbols else {"tree", "scan"})


def test_memory_of_modules(image: str, node_of: NodeOf) -> None:
    """Each has text first, holds its own struct, and shares no memory with another."""
    node = node_of(image)
    module = node.modules.module
    memory = [(base, size) for base, size in parts(node.kernel, module)]
    spans = sorted((int(b), int(b + s)) for base, size in memory for b, s in zip(base, size, strict=True) if s)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert all(any(low <= int(at) < high for low, high in spans) for at in module)
    assert (memory[0][0] != 0).all() and not (memory[0][0] & np.uint64(0xFFF)).any()


@pytest.mark.parametrize("name", SMALL)
def test_what_is_no_module(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    good = int(node.modules.module[0])
    assert is_module(node.kernel, u64(good, good + 64, node.kernel.anchors.init_task, 0)).tolist() == [
        True, False, False, False
    ]  # fmt: skip


def unlinked(kernel: Kernel, every: Modules) -> tuple[Kernel, int]:
    """The first module taken out of the list, as a rootkit does with list_del."""
    link = kernel.embedded(every.module[:1], "module", "list")
    after, before = kernel.pointers(link), kernel.pointers(link + np.uint64(8))
    words = {int(before[0]): int(after[0]), int(after[0]) + 8: int(before[0])}
    return changed(kernel, words), int(every.module[0])


@pytest.mark.parametrize("name", IMAGES)
def test_module_that_was_unlinked(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    kernel, gone = unlinked(node.kernel, node.modules)
    every = modules(kernel, none)
    assert every.module.tolist() == node.modules.module.tolist()
    assert every.module[~every.seen["list"]].tolist() == [gone]
    assert every.judged["list"].all() and not kinds(kernel)
    assert all(every.seen[other].all() for other in ("kset", "tree", "scan"))


@pytest.mark.parametrize("name", IMAGES)
def test_lists_that_are_cut_are_not_judged(name: str, node_of: NodeOf) -> None:
    """The first link of each leads nowhere: the others have every module; that this one lacks some proves nothing."""
    node = node_of(name)
    kernel, expected = node.kernel, node.modules.module.tolist()
    root = kernel.embedded(u64(kernel.symbols["mod_tree"]), "mod_tree_root", "root.tree")
    kset = kernel.embedded(kernel.pointers(u64(kernel.symbols["module_kset"])), "kset", "list")
    places = {"list": u64(kernel.symbols["modules"]), "kset": kset, "tree": root}
    for witness, at in places.items():
        cut = changed(kernel, {int(at[0]): 0})
        every = modules(cut, none)
        assert every.module.tolist() == expected
        assert not every.judged[witness].any() and kinds(cut) == {f"module {witness}"}
        assert all(every.judged[other].all() for other in WITNESSES if other != witness)
    low = int(kernel.embedded(u64(kernel.symbols["mod_tree"]), "mod_tree_root", "addr_min")[0])
    cut = changed(kernel, {low: 1})  # bounds further apart than module space is long
    every = modules(cut, none)
    data = kernel.types.has("mod_tree_root", "data_addr_min")
    assert every.judged["scan"].all() == data and kinds(cut) == (set() if data else {"module scan"})
