# SPDX-License-Identifier: Apache-2.0
"""A kernel with other words in some places, as somebody who hooks it leaves it."""

from __future__ import annotations

from collections.abc import Mapping

from memir.gaps import Gaps
from memir.kernel.code_address import CodeMap
from memir.kernel.engine import Kernel
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.damage import damaged, patched

IMAGES = ("s-5.10-small-v1", "s-6.1-small", "s-7.2-small-la57", "arm64-6.12-small-lpa2")
"""One of each layout."""
X86 = IMAGES[:3]


def word(value: int) -> bytes:
    return value.to_bytes(8, "little")


def address_of(kernel: Kernel, symbol: str) -> int:
    return kernel.symbols[symbol]


def changed(node: RamSource, bytes_at: Mapping[int, bytes]) -> RamSource:
    """The node with other bytes at some virtual addresses of its kernel, gaps its own."""
    kernel, changes = node.kernel, {}
    for address, data in bytes_at.items():
        pa, known = kernel.space.physical(u64(address))
        assert known[0], f"{address:#x} is not mapped"
        changes[int(pa[0])] = data
    memory = damaged(kernel.memory, patched(kernel.memory, changes))
    return RamSource(Kernel(memory, kernel.anchors, Gaps()))


def code_of(node: RamSource) -> CodeMap:
    return CodeMap(node.kernel, node.modules)


def free_place(node: RamSource) -> int:
    """Where structures may be written that nothing else uses: the end of the kernel's own freed start-up code."""
    symbols = node.kernel.symbols
    return (symbols["_einittext"] - 0x3000) & ~0xFFF


def kinds(node: RamSource) -> set[str]:
    return {gap.kind for gap in node.gaps}


def offset(node: RamSource, struct: str, path: str) -> int:
    return node.kernel.types.offset(struct, path)
