# SPDX-License-Identifier: Apache-2.0
"""include/linux/module.h: types that a module brings along (its split BTF)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from memir.errors import BtfError
from memir.kernel.list import list_nodes
from memir.kernel.pagetable import U64
from memir.kernel.space import u64
from memir.symbols import btf
from memir.symbols.types import KernelTypes

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MAX_BTF = 16 << 20  # vmlinux's own has 5 to 8 MiB, a module's below one


def read_virtual(kernel: Kernel, address: int, size: int) -> bytes | None:
    """A run of kernel virtual memory, page by page; None if any page of it is not in the image."""
    first = address & ~0xFFF
    pages = np.arange(first, address + size, 4096, dtype=np.uint64)
    raw, ok = kernel.read_bytes(pages, 4096)
    return raw.tobytes()[address - first : address - first + size] if ok.all() else None


def types_with_module(kernel: Kernel, module: U64, needs: Sequence[tuple[str, ...]]) -> KernelTypes | None:
    """The kernel's types and those of one module (address of struct module, array of one); None if it carries none.

    A module's types never replace the kernel's own: a split BTF may repeat core types. needs: (struct, members) of
    which every version of the module has one. Types are parsed when they are asked for, so that damage shows there:
    types that lack one of these are damaged, which is a gap.
    """
    if kernel.anchors.btf is None or not kernel.types.has("module", "btf_data") or not module[0]:
        return None
    name = kernel.strings(kernel.embedded(module, "module", "name"), 64)[0]
    size = int(kernel.read(module, "module", "btf_data_size")[0])
    if not 0 < size <= _MAX_BTF:
        return None
    stated = int(kernel.pointer(module, "module", "btf_data")[0]) or _registered(kernel, int(module[0]))
    places = [stated] if stated else _search(kernel, name or b"", size)
    why = "not found"
    for place in places:
        data = read_virtual(kernel, place, size)
        if data is None:
            why = "not readable"
            continue
        try:
            types = kernel.types.with_source(btf.parse(data, kernel.anchors.btf))
            lacking = [
                f"{struct}.{' or '.join(members)}"
                for struct, *members in needs
                if not any(types.has(struct, member) for member in members)
            ]
        except BtfError as error:
            lacking = [str(error)]
        if not lacking:
            return types
        why = f"damaged: {lacking[0]}"
    kernel.gaps.add("module BTF", f"{name!r}", why)
    return None


def _registered(kernel: Kernel, module: int) -> int:
    """Address of a module's BTF as kernel/bpf/btf.c keeps it (btf_modules), 0 if not found.

    Loading clears module.btf_data once the BTF has been copied and checked.
    """
    head = kernel.symbols.get("btf_modules")
    if head is None or not kernel.types.exists("btf_module"):
        return 0
    _, node = list_nodes(kernel, u64(head), "btf_modules", limit=4096)
    entry = kernel.container(node, "btf_module", "list")
    own = entry[kernel.pointer(entry, "btf_module", "module") == module]
    types = kernel.pointer(own[:1], "btf_module", "btf")
    data = kernel.pointer(types, "btf", "data")
    return int(data[0]) if len(data) else 0


def _search(kernel: Kernel, name: bytes, size: int) -> list[int]:
    """Where a module's BTF is, by the struct btf that bears its name and size: for kernels whose data symbols are not
    in kallsyms. Addresses of the data, which may lie in vmalloc space, its pages anywhere."""
    types = kernel.types
    if not name or not types.has("btf", "name"):
        return []
    at_name, at_data, at_size = (types.offset("btf", member) for member in ("name", "data", "data_size"))
    pattern = np.uint64(int.from_bytes((name + b"\0").ljust(8, b"\0")[:8], "little"))
    addresses = []
    for pa, view in kernel.memory.views(skip_zeros=True):
        skip = (at_name - pa) % 8
        words = np.ndarray((max(0, (len(view) - skip) // 8),), "<u8", view, skip)
        for word in np.flatnonzero(words == pattern):
            start = pa + skip + 8 * int(word) - at_name
            raw, ok = kernel.memory.gather(u64(max(start, 0)), types.size("btf"))
            if not ok[0] or raw[0, at_name : at_name + len(name) + 1].tobytes() != name + b"\0":
                continue
            if int.from_bytes(raw[0, at_size : at_size + 4].tobytes(), "little") == size:
                addresses.append(int.from_bytes(raw[0, at_data : at_data + 8].tobytes(), "little"))
    return addresses


def module_of_filesystem(kernel: Kernel, superblock: U64) -> U64:
    """The module that a superblock's file system comes from; 0 if it is built in."""
    kind = kernel.pointer(superblock, "super_block", "s_type")
    return kernel.pointer(kind, "file_system_type", "owner") if len(kind) else u64()
