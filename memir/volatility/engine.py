# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""memir's engine over volatility3's own layer and symbol table, for plugins that run in a stock `vol`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from volatility3.framework import exceptions, interfaces

from memir.errors import KernelError
from memir.gaps import Gaps
from memir.image.memory import PhysicalMemory, Range
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from memir.symbols import vmcoreinfo
from memir.symbols.anchors import ADDRESS_MASK, Anchors, Architecture
from memir.symbols.isf import IsfTypes
from memir.symbols.search import btf_between
from memir.symbols.table import Symbols
from memir.symbols.types import KernelTypes
from memir.volatility.layers import MemirLayer


def node_of(context: Any, module_name: str) -> RamSource:
    """The node that a plugin's kernel module is of, read with memir's engine.

    KernelError if the module's symbols lack what the engine starts from.
    """
    return RamSource(kernel_of(context, module_name))


def kernel_of(context: Any, module_name: str) -> Kernel:
    """The engine over the layers that volatility3 has stacked."""
    module = context.modules[module_name]
    layer = context.layers[module.layer_name]
    base = context.layers[layer.config["memory_layer"]]
    if isinstance(base, MemirLayer) and base.anchors is not None:
        return Kernel(base.image, base.anchors, Gaps())
    memory = memory_of(base)
    return Kernel(memory, _anchors(context, module, layer, memory), Gaps())


def memory_of(base: Any) -> PhysicalMemory:
    """Physical memory behind a volatility3 layer, brought in as it is read."""
    start, end = base.minimum_address, base.maximum_address + 1
    if isinstance(base, interfaces.layers.TranslationLayerInterface):
        parts = [(address, size) for address, size, *_ in base.mapping(start, end - start, ignore_errors=True)]
    else:
        parts = [(start, end - start)]

    def read(pa: int, size: int) -> bytes | None:
        try:
            return bytes(base.read(pa, size))
        except exceptions.InvalidAddressException:
            return None

    return PhysicalMemory.from_reader(_joined(parts), read, base.name, type(base).__name__, None)


def _joined(parts: list[tuple[int, int]]) -> list[Range]:
    """A layer maps a range in pieces (each decompressed block): those that touch are one range."""
    joined: list[list[int]] = []
    for start, size in sorted(parts):
        if joined and start <= joined[-1][0] + joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], start + size - joined[-1][0])
        else:
            joined.append([start, size])
    return [Range(start, size) for start, size in joined]


def _anchors(context: Any, module: Any, layer: Any, memory: PhysicalMemory) -> Anchors:
    document = context.symbol_space[module.symbol_table_name]._delegate._json_object
    types = IsfTypes(document, module.symbol_table_name)
    shift = int(module.offset)
    # a layer keeps as many bits of an address as it can translate: the others repeat the highest
    symbols = Symbols.from_pairs(
        ((name, layer.canonicalize((address + shift) & layer.address_mask)) for name, address in types.symbols.items()),
        "ISF",
    )
    task = symbols.get("init_task")
    if task is None:
        raise KernelError(f"symbol table {module.symbol_table_name} has no init_task")
    pa, _ = layer.translate(task & layer.address_mask)
    delta = (task - pa) & ADDRESS_MASK
    known = KernelTypes(types)
    arch: Architecture = "arm64" if known.has("pt_regs", "pstate") else "x86_64"
    info = next((note for note in vmcoreinfo.find(memory) if _is_of(note, arch, delta)), None)
    banner = (types.banner or b"").rstrip(b"\0\n").decode("utf-8", "replace")
    words = banner.split(" ")
    return Anchors(
        arch=arch,
        release=info.release if info else words[2] if len(words) > 2 else "",
        banner=banner,
        build_id=None,
        image_delta=delta,
        shift=shift,
        init_task=task,
        symbols=symbols,
        types=known,
        btf=btf_between(memory, symbols, delta),
        numbers=info.numbers if info else {},
        sources={"types": "ISF", "symbols": "ISF", "kernel": "volatility3"},
    )


def _is_of(info: vmcoreinfo.VmcoreInfo, arch: str, delta: int) -> bool:
    """Whether this VMCOREINFO is of the kernel at this place."""
    if arch == "arm64":
        return info.numbers.get("kimage_voffset") == delta
    return "phys_base" in info.numbers and (0xFFFF_FFFF_8000_0000 - info.numbers["phys_base"]) & ADDRESS_MASK == delta


def plugins_path() -> Path:
    """The folder of memir's own volatility3 plugins, for `vol -p`."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "plugins"
    return installed if installed.is_dir() else package.parent / "plugins"
