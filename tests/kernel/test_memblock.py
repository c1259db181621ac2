# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from memir.kernel import memblock
from memir.kernel.engine import Kernel
from tests.damage import damaged, patched
from tests.kernel.accounts import ARM, X86, kernel


def test_arm64_keeps_the_list_and_x86_does_not() -> None:
    found = memblock.memory(kernel(ARM))
    assert found is not None
    assert [(part.start, part.end) for part in found] == [(0x4000_0000, 0x4500_0000)]
    assert memblock.memory(kernel(X86)) is None


def test_counts_and_flags_are_heeded() -> None:
    whole = kernel(ARM)
    base = whole.symbols["memblock"]
    count = whole.anchors.image_pa(base + whole.types.offset("memblock", "memory.cnt"))
    for value in (0, 1 << 40):
        pages = patched(whole.memory, {count: value.to_bytes(8, "little")})
        assert memblock.memory(Kernel(damaged(whole.memory, pages), whole.anchors)) is None
    regions = whole.memory.read(whole.anchors.image_pa(base + whole.types.offset("memblock", "memory.regions")), 8)
    flags = whole.anchors.image_pa(int.from_bytes(regions, "little") + whole.types.offset("memblock_region", "flags"))
    pages = patched(whole.memory, {flags: memblock.MEMBLOCK_NOMAP.to_bytes(4, "little")})
    assert memblock.memory(Kernel(damaged(whole.memory, pages), whole.anchors)) is None
