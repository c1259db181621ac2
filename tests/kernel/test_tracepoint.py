# SPDX-License-Identifier: Apache-2.0
"""Functions at tracepoints: none on clean kernels; the one that was put there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kernel.tracepoint import tracepoint_hooks
from memir.kube.ram import RamSource
from tests.kernel.hooked import IMAGES, changed, free_place, kinds, offset, word

NodeOf = Callable[[str], RamSource]


@pytest.mark.parametrize("name", IMAGES)
def test_function_at_a_tracepoint(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    symbols, place = node.kernel.symbols, free_place(node)
    assert tracepoint_hooks(node.kernel, node.modules.module) == [] and "tracepoints" not in kinds(node)
    size = node.kernel.types.size("tracepoint_func")
    made = {
        place - 8: bytes(0x108),
        place + offset(node, "tracepoint_func", "func"): word(symbols["do_exit"]),
        place + size + offset(node, "tracepoint_func", "func"): word(symbols["schedule"]),
        symbols["__tracepoint_sched_switch"] + offset(node, "tracepoint", "funcs"): word(place),
    }
    hooked = changed(node, made)
    hooks = tracepoint_hooks(hooked.kernel, node.modules.module)
    assert [(hook.kind, hook.name, hook.target) for hook in hooks] == [
        ("tracepoint", "sched_switch", symbols["do_exit"]), ("tracepoint", "sched_switch", symbols["schedule"])
    ]  # fmt: skip
    assert [hook.address - place for hook in hooks] == [0, size]


@pytest.mark.parametrize("name", IMAGES)
def test_array_that_cannot_be_read(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    absent = node.kernel.symbols["__tracepoint_sched_switch"] + offset(node, "tracepoint", "funcs")
    torn = changed(node, {absent: word(0xFFFF_FFFF_FFFF_0000)})
    assert tracepoint_hooks(torn.kernel, node.modules.module) == [] and kinds(torn) == {"tracepoints"}
