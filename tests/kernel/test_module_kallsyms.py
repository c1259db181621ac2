# SPDX-License-Identifier: Apache-2.0
"""Modules as /proc/modules listed them, and their symbols as /proc/kallsyms did."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kernel.module_kallsyms import modules, symbols
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols.table import Symbols
from tests.damage import damaged, patched
from tests.images import case

NodeOf = Callable[[str], RamSource]


def listed(image: str) -> set[str]:
    raw = case(image).raw_truth()
    small = case(image).truth.suffix == ".txt"
    return {line.split()[0] for line in raw["sys"]["modules"].splitlines()} if small else set(raw["modules"])


def test_modules(image: str, node_of: NodeOf) -> None:
    """By the list, and by a member of it alone."""
    node = node_of(image)
    kernel = node.kernel
    every = modules(kernel, node.known_modules)
    assert set(every) == listed(image)
    blind = Kernel(kernel.memory, replace(kernel.anchors, symbols=Symbols.from_pairs([], "none")))
    assert modules(blind, node.known_modules) == every


def test_symbols(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    kernel = node.kernel
    named = {name: symbols(kernel, address) for name, address in modules(kernel, node.known_modules).items()}
    low, high = 0xFFFF_8000_0000_0000, 1 << 64
    assert all(low <= value < high for table in named.values() for value in table.values() if value > 1 << 20)
    assert "ovl_fill_super" in named["overlay"]
    path = case(image).beside("kallsyms.gz")
    if path.is_file():
        lines = [line.split() for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
        for name in ("nf_conntrack", "overlay"):
            # of several symbols of one name the last one is kept, as in a dict of the lines
            truth = {words[2]: int(words[0], 16) for words in lines if words[3:] == [f"[{name}]"]}
            assert {key: value for key, value in named[name].items() if key in truth} == truth


def test_hostile_count(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    kernel = node.kernel
    module = modules(kernel, u64())["overlay"]
    table = kernel.pointer(u64(module), "module", "kallsyms") + kernel.types.offset("mod_kallsyms", "num_symtab")
    place, _ = kernel.space.physical(table)
    gaps = Gaps()
    memory = damaged(kernel.memory, patched(kernel.memory, {int(place[0]): b"\xff\xff\xff\x7f"}))
    assert symbols(Kernel(memory, kernel.anchors, gaps), module) == {}
    assert [(gap.kind, gap.count) for gap in gaps] == [("module symbols", 1)]
