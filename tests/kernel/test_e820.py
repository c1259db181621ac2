# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from memir.kernel import e820
from memir.kernel.engine import Kernel
from tests.damage import damaged, patched
from tests.kernel.accounts import ARM, X86, X86_RAM, kernel


def test_the_kernel_reserves_page_0_and_the_firmware_does_not() -> None:
    whole = kernel(X86)
    ours, theirs = e820.kernel_ram(whole), e820.firmware_ram(whole)
    assert ours is not None
    assert theirs is not None
    assert [(part.start, part.end) for part in ours] == X86_RAM
    assert [(part.start, part.end) for part in theirs] == [(0, 0x9FC00), X86_RAM[1]]


def test_arm64_has_no_such_map() -> None:
    assert e820.kernel_ram(kernel(ARM)) is None
    assert e820.firmware_ram(kernel(ARM)) is None


@pytest.mark.parametrize(
    ("offset", "data"),
    [
        (-1, b"\0"),  # no entry
        (-1, b"\x80"),  # as many as fit: there may be more elsewhere
        (0, (1 << 60).to_bytes(8, "little")),  # absurd address
        (0, (0x180000).to_bytes(8, "little")),  # the first entry overlaps the second
    ],
)
def test_a_damaged_map_gives_nothing(offset: int, data: bytes) -> None:
    whole = kernel(X86)
    params = whole.anchors.image_pa(whole.symbols["boot_params"])
    types = whole.types
    at = params + (
        types.offset("boot_params", "e820_entries") if offset < 0 else types.offset("boot_params", "e820_table")
    )
    broken = Kernel(damaged(whole.memory, patched(whole.memory, {at: data})), whole.anchors)
    assert e820.firmware_ram(broken) is None
    assert e820.kernel_ram(broken) == e820.kernel_ram(whole)
