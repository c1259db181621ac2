# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""The context holds the kernel that memir located: its layers, its page tables, its symbols."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from memir.errors import SymbolsError
from memir.kube.ram import RamSource
from memir.symbols.isf import IsfTypes
from memir.symbols.isf_source import of_kernel
from memir.volatility.context import LAYER, MEMORY, MODULE, build_context
from memir.volatility.layers import AArch64, Intel4, Intel5, KernelPages
from tests.images import case

LAYERS = {"s-6.1-small": Intel4, "s-7.2-small-la57": Intel5, "arm64-6.12-small-lpa2": AArch64}


@pytest.mark.parametrize("name", LAYERS)
def test_the_context_of_an_image(name: str, node_of: Callable[[str], RamSource]) -> None:
    node = node_of(name)
    anchors = node.kernel.anchors
    context = build_context(node.kernel.memory, anchors)
    assert set(context.layers) == {MEMORY, LAYER}
    layer: KernelPages = context.layers[LAYER]
    assert type(layer) is LAYERS[name]
    module = context.modules[MODULE]
    assert (module.layer_name, module.offset) == (LAYER, (anchors.shift or 0) & layer.address_mask)
    # volatility3 walks the list of tasks through these layers and types
    task = module.object_from_symbol("init_task")
    assert task.vol.offset == anchors.init_task & layer.address_mask
    tasks = list(task.tasks.to_list(f"{MODULE}!task_struct", "tasks"))
    pids = {int(each.pid) for each in tasks}
    assert pids - {0} == {process.pid for process in node.processes.rows if process.pid == process.tgid}
    recorded = {pid for pid, process in case(name).recorded().items() if process.comm != "truth"}  # the recorder ended
    assert recorded <= pids


def test_types_from_an_isf_or_from_nowhere(small_node: RamSource) -> None:
    memory, anchors = small_node.kernel.memory, small_node.kernel.anchors
    bare = dataclasses.replace(anchors, btf=None)
    with pytest.raises(SymbolsError, match="neither as BTF nor as an ISF"):
        build_context(memory, bare)
    context = build_context(memory, bare, isf=IsfTypes(of_kernel(anchors).document()))
    assert int(context.modules[MODULE].object_from_symbol("init_task").pid) == 0


def test_a_known_address_space_is_taken(small_node: RamSource) -> None:
    kernel = small_node.kernel
    context = build_context(kernel.memory, kernel.anchors, kernel.space)
    assert context.config[f"memir.{LAYER}.page_map_offset"] == kernel.space.root
