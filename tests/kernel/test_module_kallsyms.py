# SPDX-License-Identifier: Apache-2.0
"""Modules as /proc/modules listed them, and their symbols as /proc/kallsyms did."""

from __future__ import annotations

import gzip
from collections.abc import Callable

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kernel.module_kallsyms import by_address, named, symbols
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.damage import damaged, patched
from tests.images import case

NodeOf = Callable[[str], RamSource]


def listed(image: str) -> set[str]:
    raw = case(image).raw_truth()
    small = case(image).small
    return {line.split()[0] for line in raw["sys"]["modules"].splitlines()} if small else set(raw["modules"])


def test_named(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    module = node.modules.module
    places = {name: named(node.kernel, module, name.encode()) for name in listed(image)}
    assert set(places.values()) == set(module.tolist()) and len(places) == len(module)
    assert named(node.kernel, module, b"nosuch") == 0


def test_symbols(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    kernel = node.kernel
    tables = {name: symbols(kernel, named(kernel, node.modules.module, name.encode())) for name in listed(image)}
    low, high = 0xFFFF_8000_0000_0000, 1 << 64
    assert all(low <= value < high for table in tables.values() for value in table.values() if value > 1 << 20)
    assert "ovl_fill_super" in tables["overlay"]
    places = by_address(kernel, named(kernel, node.modules.module, b"overlay"))
    assert places[tables["overlay"]["ovl_fill_super"]] == "ovl_fill_super"
    assert {address for name, address in tables["overlay"].items() if name[0] != "$"} <= set(places)
    assert not any(name.startswith("$") for name in places.values())
    path = case(image).beside("kallsyms.gz")
    if path.is_file():
        lines = [line.split() for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
        for name in ("nf_conntrack", "overlay"):
            # of several symbols of one name the last one is kept, as in a dict of the lines
            truth = {words[2]: int(words[0], 16) for words in lines if words[3:] == [f"[{name}]"]}
            assert {key: value for key, value in tables[name].items() if key in truth} == truth


def test_hostile_count(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    kernel = node.kernel
    module = named(kernel, node.modules.module, b"overlay")
    table = kernel.pointer(u64(module), "module", "kallsyms") + kernel.types.offset("mod_kallsyms", "num_symtab")
    place, _ = kernel.space.physical(table)
    gaps = Gaps()
    memory = damaged(kernel.memory, patched(kernel.memory, {int(place[0]): b"\xff\xff\xff\x7f"}))
    assert symbols(Kernel(memory, kernel.anchors, gaps), module) == {}
    assert [(gap.kind, gap.count) for gap in gaps] == [("module symbols", 1)]
