# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""memir's engine over layers that volatility3 stacked sees the node that memir itself sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from volatility3.framework import contexts
from volatility3.framework.layers import physical
from volatility3.framework.symbols import intermed

from memir.errors import KernelError
from memir.kube.ram import RamSource
from memir.symbols.isf_source import of_kernel
from memir.volatility.context import LAYER, MEMORY, MODULE, build_context
from memir.volatility.engine import kernel_of, memory_of, node_of, plugins_path
from memir.volatility.layers import MemirLayer
from tests.images import ROOT, case


def stacked(node: RamSource, folder: Path, without: str = "") -> Any:
    """A context as stock volatility3 makes it: layers that know nothing of memir, types and symbols from a file."""
    memory, anchors = node.kernel.memory, node.kernel.anchors
    document = of_kernel(anchors).document()
    document["symbols"].pop(without, None)
    (folder / "kernel.json").write_text(json.dumps(document))
    context = build_context(memory, anchors)
    offset = context.modules[MODULE].offset
    kernel_layer = context.layers[LAYER]
    context.layers.del_layer(LAYER)
    context.layers.del_layer(MEMORY)
    context.add_layer(MemirLayer(context, f"memir.{MEMORY}", MEMORY, memory, None))
    context.add_layer(kernel_layer)
    # without its check against the schema, which takes half a minute
    url = (folder / "kernel.json").as_uri()
    context.symbol_space.append(intermed.IntermediateSymbolTable(context, "stock", "stock", url, validate=False))
    context.module("stock", LAYER, offset)
    return context


def test_a_kernel_that_memir_located_is_taken_as_it_is(small_node: RamSource) -> None:
    kernel = small_node.kernel
    found = kernel_of(build_context(kernel.memory, kernel.anchors), MODULE)
    assert found.anchors is kernel.anchors
    assert found.memory is kernel.memory


def test_the_same_processes_over_stock_layers(small_node: RamSource, tmp_path: Path) -> None:
    anchors = small_node.kernel.anchors
    node = node_of(stacked(small_node, tmp_path), "stock")
    found = node.kernel.anchors
    assert (found.arch, found.release, found.banner) == (anchors.arch, anchors.release, anchors.banner)
    assert (found.init_task, found.image_delta, found.shift) == (anchors.init_task, anchors.image_delta, anchors.shift)
    assert found.sources == {"types": "ISF", "symbols": "ISF", "kernel": "volatility3"}
    shown = {(process.pid, process.comm) for process in node.processes.rows}
    assert shown == {(process.pid, process.comm) for process in small_node.processes.rows}
    recorded = case("s-6.1-small").recorded().items()
    # kernel workers are named after what they did last, and the recorder has ended
    assert shown >= {(pid, p.comm) for pid, p in recorded if not p.kernel_thread and p.comm != "truth"}
    assert set(node.pods) == set(small_node.pods)


def test_symbols_without_a_first_task(small_node: RamSource, tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="symbol table stock has no init_task"):
        kernel_of(stacked(small_node, tmp_path, without="init_task"), "stock")


def test_memory_of_a_layer_of_bytes() -> None:
    context = contexts.Context()
    layer = physical.BufferDataLayer(context, "config", "bytes", bytes(range(256)) * 32)
    context.add_layer(layer)
    memory = memory_of(layer)
    assert [(part.start, part.size) for part in memory.ranges] == [(0, 8192)]
    assert memory.read(254, 4) == b"\xfe\xff\x00\x01"
    assert (str(memory.path), memory.format) == ("bytes", "BufferDataLayer")


def test_memory_of_a_layer_with_holes(small_node: RamSource) -> None:
    """A translating layer maps what it has; pieces that touch are one range, holes stay holes."""
    kernel = small_node.kernel
    context = build_context(kernel.memory, kernel.anchors)
    memory = memory_of(context.layers[MEMORY])
    assert memory.ranges == kernel.memory.ranges
    place = kernel.anchors.image_pa(kernel.anchors.init_task)
    assert memory.read(place, 64) == kernel.memory.read(place, 64)


def test_where_the_plugins_lie() -> None:
    assert plugins_path() == ROOT / "plugins"
