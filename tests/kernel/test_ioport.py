# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from memir.kernel import ioport
from memir.kernel.engine import Kernel
from memir.symbols.table import Symbols
from tests.damage import damaged, patched, zeroed
from tests.kernel.accounts import ARM, X86, X86_RAM, kernel


def test_system_ram_is_what_the_machine_has() -> None:
    found = ioport.system_ram(kernel(X86))
    assert found is not None
    assert [(part.start, part.end) for part in found] == X86_RAM
    arm = ioport.system_ram(kernel(ARM))
    assert arm is not None
    assert [(part.start, part.end) for part in arm] == [(0x4000_0000, 0x4500_0000)]


def test_without_symbols_of_data_the_root_is_known_by_its_name() -> None:
    whole = kernel(X86)
    names = Symbols.from_pairs([(name, whole.symbols[name]) for name in ("_stext", "init_task")], "test")
    bare = Kernel(whole.memory, whole.anchors)
    bare.symbols = names
    assert ioport.system_ram(bare) == ioport.system_ram(whole)


@pytest.mark.parametrize("damage", ["gone", "loop", "backwards"])
def test_a_tree_that_cannot_be_read_to_its_end_gives_nothing(damage: str) -> None:
    whole = kernel(X86)
    root = whole.symbols["iomem_resource"]
    child = whole.read(np.array([root], np.uint64), "resource", "child").astype(np.uint64)
    pa = int(whole.space.physical(child)[0][0])
    types = whole.types
    if damage == "gone":
        pages = zeroed([pa >> 12])
    elif damage == "loop":
        pages = patched(whole.memory, {pa + types.offset("resource", "sibling"): int(child[0]).to_bytes(8, "little")})
    else:
        pages = patched(whole.memory, {pa + types.offset("resource", "start"): (1 << 60).to_bytes(8, "little")})
    found = ioport.system_ram(Kernel(damaged(whole.memory, pages), whole.anchors))
    assert found is None
