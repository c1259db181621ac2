# SPDX-License-Identifier: Apache-2.0
"""The interrupt table: vectors of the processor are those of the architecture; arm64 has none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kernel.idt import interrupts
from memir.kube.ram import RamSource
from tests.kernel.hooked import IMAGES, X86, changed, code_of, kinds

NodeOf = Callable[[str], RamSource]


@pytest.mark.parametrize("name", X86)
def test_vectors(name: str, node_of: NodeOf) -> None:
    """Page fault and divide error by their functions; those never set name freed code."""
    node = node_of(name)
    code = code_of(node)
    hooks = {hook.name: code.find(hook.target) for hook in interrupts(node.kernel)}
    assert len(hooks) == 256
    assert hooks["vector 0"].text == "asm_exc_divide_error"
    assert hooks["vector 14"].text == "asm_exc_page_fault"
    early = [place for place in hooks.values() if place.area == "init"]
    assert {place.symbol for place in early} == {"early_idt_handler_array"}
    assert len(early) == (9 if name == "s-7.2-small-la57" else 12)


@pytest.mark.parametrize("name", X86)
def test_table_of_zeros_is_a_gap(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    torn = changed(node, {node.kernel.symbols["idt_table"]: bytes(4096)})
    assert interrupts(torn.kernel) == [] and kinds(torn) == {"interrupt table"}


def test_processors_without_one(node_of: NodeOf) -> None:
    node = node_of(IMAGES[-1])
    assert interrupts(node.kernel) == [] and "interrupt table" not in kinds(node)
