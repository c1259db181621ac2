# SPDX-License-Identifier: Apache-2.0
"""include/linux/module.h, struct mod_kallsyms: the symbols of a module, which the kernel's own table does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import list_nodes, ring, slots
from memir.kernel.pagetable import U64
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MOST = 1 << 18  # symbols of one module: the largest (amdgpu) have some ten thousand
_MODULES = 1 << 14


def modules(kernel: Kernel, known: U64) -> dict[str, int]:
    """struct module of every loaded module by its name; known: some of them, for kernels that do not name the list."""
    head = kernel.symbols.get("modules")
    if head is not None:
        _, node = list_nodes(kernel, u64(head), "modules", _MODULES)
        every = kernel.container(node, "module", "list")
    else:
        every = ring(kernel, "module", "list", known, "modules")
    names = kernel.strings(kernel.embedded(every, "module", "name"), 64)
    return {
        name.decode("ascii", "backslashreplace"): address
        for name, address in zip(names, every.tolist(), strict=True)
        if name
    }


def symbols(kernel: Kernel, module: int) -> dict[str, int]:
    """Symbols of the module at this address, data too where the kernel keeps them (CONFIG_KALLSYMS_ALL)."""
    if not kernel.types.has("module", "kallsyms"):
        return {}
    table = kernel.pointer(u64(module), "module", "kallsyms")
    first, strings = (kernel.pointer(table, "mod_kallsyms", name) for name in ("symtab", "strtab"))
    count = kernel.read(table, "mod_kallsyms", "num_symtab").astype(np.uint64)
    if int(count[0]) > _MOST:
        kernel.gaps.add("module symbols", f"{module:#x}", f"more than {_MOST} symbols")
        return {}
    entry = slots(kernel, first, count, kernel.types.size("elf64_sym"), "module symbols")
    place = kernel.read(entry, "elf64_sym", "st_name").astype(np.uint64)
    names = kernel.strings(strings[0] + place, 256) if len(entry) else []
    values = kernel.read(entry, "elf64_sym", "st_value").tolist()
    return {
        name.decode("ascii", "backslashreplace"): int(value)
        for name, value in zip(names, values, strict=True)
        if name and value
    }
