# SPDX-License-Identifier: Apache-2.0
"""Find the kernel of an image with an ISF (volatility3's symbol file, of any origin) in place of BTF and kallsyms."""

from __future__ import annotations

from pathlib import Path

from memir.errors import AbsentMemoryError, IsfError, KernelNotFoundError
from memir.image.memory import PhysicalMemory
from memir.symbols import isf
from memir.symbols.anchors import ADDRESS_MASK, Anchors, Architecture
from memir.symbols.search import btf_between, find_banner, find_init_tasks
from memir.symbols.table import Symbols
from memir.symbols.types import KernelTypes
from memir.symbols.vmcoreinfo import VmcoreInfo


def locate_with_isf(memory: PhysicalMemory, path: Path, delta: int | None, info: VmcoreInfo | None) -> Anchors:
    """The kernel that the ISF describes, found by its first task.

    delta, info: from VMCOREINFO, None where the image has none. IsfError if the ISF has no init_task or is of another
    kernel than the image's, KernelNotFoundError if the first task is not found with the ISF's types.
    """
    types = isf.read(path)
    known = KernelTypes(types)
    linked = types.symbols.get("init_task")
    if linked is None:
        raise IsfError(f"{path}: has no symbol init_task")
    banner = (types.banner or b"").rstrip(b"\0\n").decode("utf-8", "replace")
    if info is not None and banner and not banner.startswith(f"Linux version {info.release} "):
        raise IsfError(f"{path}: is of another kernel: {banner[:60]!r}, the image's is {info.release}")
    for va, pa in find_init_tasks(memory, known, None):
        here = (va - pa) & ADDRESS_MASK
        shift = (va - linked) & ADDRESS_MASK
        if (delta is not None and here != delta) or shift & 0xFFF:
            continue
        signed = shift - (1 << 64) if shift >> 63 else shift
        symbols = Symbols.from_pairs(types.symbols.items(), "ISF").shifted(signed)
        if not _banner_fits(memory, symbols, here, banner):
            raise IsfError(
                f"{path}: is of another kernel: its banner {banner[:60]!r} is not where it puts it in the image"
            )
        release = info.release if info else banner.split(" ")[2] if banner.count(" ") > 2 else ""
        text = find_banner(memory, symbols, here, release, va) or banner
        arch: Architecture = "arm64" if known.has("pt_regs", "pstate") else "x86_64"
        return Anchors(
            arch, release, text, info.build_id if info else None, here, signed, va,
            Symbols(symbols.names, symbols.addresses, "ISF", info.symbols if info else None), known,
            btf_between(memory, symbols, here),
            info.numbers if info else {},
            {"kernel": "init_task"} | dict.fromkeys(("types", "symbols"), f"ISF {path.name}"),
        )  # fmt: skip
    raise KernelNotFoundError(f"{memory.path}: no first task (swapper/0) that fits the types and addresses of {path}")


def _banner_fits(memory: PhysicalMemory, symbols: Symbols, delta: int, banner: str) -> bool:
    """Whether the ISF's banner lies in the image where the ISF puts it; true where it cannot be told."""
    address = symbols.get("linux_banner")
    if not banner or address is None or address < 1 << 63:
        return True
    try:
        return memory.read((address - delta) & ADDRESS_MASK, len(banner)) == banner.encode("utf-8", "replace")
    except AbsentMemoryError:
        return True
