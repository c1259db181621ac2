# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""A volatility3 context of a kernel that memir has located, built without volatility3's automagic.

Automagic scans the image for banners, reads every symbol file it knows and stacks layers by trial; all of
that is known here.
"""

from __future__ import annotations

from typing import Any

from volatility3.framework import contexts

from memir.errors import SymbolsError
from memir.image.memory import PhysicalMemory
from memir.kernel.space import AddressSpace, open_space
from memir.symbols.anchors import ADDRESS_MASK, Anchors
from memir.symbols.isf import IsfTypes
from memir.symbols.isf_lengths import array_lengths
from memir.symbols.isf_make import IsfSource
from memir.volatility.derive import missing_symbols
from memir.volatility.layers import AArch64, Intel4, Intel5, KernelPages, MemirLayer
from memir.volatility.symbols import KernelTable

MEMORY, LAYER, MODULE = "memory_layer", "layer_name", "kernel"
"""Names of the layer of RAM, of the kernel's address space and of its module, as in `vol`."""


def build_context(
    memory: PhysicalMemory, anchors: Anchors, space: AddressSpace | None = None, isf: IsfTypes | None = None
) -> Any:
    """A volatility3 Context with the layers `MEMORY` and `LAYER` and the module `MODULE`.

    space: the kernel's address space, if it is already known. isf: where the kernel's types come from if
    its BTF is not known. SymbolsError if neither is; KernelError if the kernel's page tables do not fit.
    """
    space = space or open_space(memory, anchors)
    context = contexts.Context()
    context.add_layer(MemirLayer(context, f"memir.{MEMORY}", MEMORY, memory, anchors))
    layer = _layer(context, space, anchors)
    context.add_layer(layer)
    shift = anchors.shift or 0
    layer.config["kernel_virtual_offset"] = shift & layer.address_mask
    context.symbol_space.append(KernelTable(context, MODULE, _source(memory, anchors, shift, isf), layer.address_mask))
    context.module(MODULE, LAYER, shift & layer.address_mask)
    return context


def _layer(context: Any, space: AddressSpace, anchors: Anchors) -> KernelPages:
    path = f"memir.{LAYER}"
    config = {"memory_layer": MEMORY, "page_map_offset": space.root, "vmemmap": space.vmemmap}
    kind: type[KernelPages] = Intel5 if space.fmt.levels == 5 else Intel4
    if anchors.arch == "arm64":
        kind = AArch64
        config |= {
            "levels": space.fmt.levels,
            "kernel_root": space.root,
            "lpa2": bool(getattr(space.fmt, "lpa2", False)),
        }
    for name, value in config.items():
        context.config[f"{path}.{name}"] = value
    return kind(context, path, LAYER, {"os": "Linux"})


def _source(memory: PhysicalMemory, anchors: Anchors, shift: int, isf: IsfTypes | None) -> IsfSource | IsfTypes:
    if anchors.btf is None:
        if isf is None:
            raise SymbolsError("the kernel's types are known neither as BTF nor as an ISF")
        return isf
    linked = anchors.symbols.shifted(-shift)
    for name, address in missing_symbols(memory, anchors).items():
        linked.extra[name] = (address - shift) & ADDRESS_MASK
    return IsfSource(anchors.btf, linked, anchors.banner.encode(), array_lengths(memory, anchors))
