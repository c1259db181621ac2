# SPDX-License-Identifier: Apache-2.0
"""include/linux/module.h, struct mod_kallsyms: the symbols of a module, which the kernel's own table does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import slots
from memir.kernel.pagetable import U64
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MOST = 1 << 18  # symbols of one module: the largest (amdgpu) have some ten thousand
_LONGEST = 512  # bytes of a name: KSYM_NAME_LEN since 6.1


def named(kernel: Kernel, module: U64, name: bytes) -> int:
    """The struct module that has this name among some, 0 if none has."""
    names = kernel.strings(kernel.embedded(module, "module", "name"), 64)
    return next((int(address) for address, text in zip(module, names, strict=True) if text == name), 0)


def symbols(kernel: Kernel, module: int) -> dict[str, int]:
    """Symbols of the module at this address, data too where the kernel keeps them (CONFIG_KALLSYMS_ALL)."""
    return dict(_entries(kernel, module))


def by_address(kernel: Kernel, module: int) -> dict[int, str]:
    """The same by address, of several at one address the first; arm64's marks of code and data ($x, $d) left out."""
    rows = reversed(_entries(kernel, module))
    return {address: name for name, address in rows if not name.startswith("$")}


def _entries(kernel: Kernel, module: int) -> list[tuple[str, int]]:
    if not kernel.types.has("module", "kallsyms"):
        return []
    table = kernel.pointer(u64(module), "module", "kallsyms")
    first, strings = (kernel.pointer(table, "mod_kallsyms", name) for name in ("symtab", "strtab"))
    count = kernel.read(table, "mod_kallsyms", "num_symtab").astype(np.uint64)
    if int(count[0]) > _MOST:
        kernel.gaps.add("module symbols", f"{module:#x}", f"more than {_MOST} symbols")
        return []
    entry = slots(kernel, first, count, kernel.types.size("elf64_sym"), "module symbols")
    place = kernel.read(entry, "elf64_sym", "st_name").astype(np.uint64)
    names = kernel.strings(strings[0] + place, _LONGEST) if len(entry) else []
    values = kernel.read(entry, "elf64_sym", "st_value").tolist()
    return [
        (name.decode("utf-8", "backslashreplace"), int(value))
        for name, value in zip(names, values, strict=True)
        if name and value
    ]
