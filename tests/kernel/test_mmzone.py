# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from memir.kernel import mmzone
from memir.kernel.engine import Kernel
from tests.damage import damaged, zeroed
from tests.kernel.accounts import ARM, X86, X86_RAM, kernel


def test_zones_count_whole_pages() -> None:
    whole = sum(end // 4096 - -(-start // 4096) for start, end in X86_RAM) * 4096
    assert mmzone.present_bytes(kernel(X86)) == whole
    assert mmzone.highest_address(kernel(X86)) == X86_RAM[-1][1]
    assert mmzone.present_bytes(kernel(ARM)) == 80 << 20
    assert mmzone.highest_address(kernel(ARM)) == 0x4500_0000


def test_zones_by_name() -> None:
    every = mmzone.zones(kernel(X86))
    names = kernel(X86).strings(kernel(X86).pointer(every, "zone", "name"), 16)
    assert names[:3] == [b"DMA", b"DMA32", b"Normal"]


def test_what_is_not_there_is_none() -> None:
    whole = kernel(X86)
    frames = [whole.anchors.image_pa(whole.symbols[name]) >> 12 for name in ("node_data", "max_pfn")]
    broken = Kernel(damaged(whole.memory, zeroed(frames)), whole.anchors)
    assert mmzone.present_bytes(broken) is None and not len(mmzone.zones(broken))
    assert mmzone.highest_address(broken) is None
