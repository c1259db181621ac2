# SPDX-License-Identifier: Apache-2.0
"""arm64 page tables: descriptors as the processor's manual has them, and the layout of a real kernel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel import arm64
from memir.kernel.arm64 import ArmFormat
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.images import cases

NodeOf = Callable[[str], RamSource]
THREE, FOUR, FIVE = ArmFormat(3), ArmFormat(4), ArmFormat(5, lpa2=True)
ARM = sorted(name for name in cases() if name.startswith("arm64-"))


def test_indexes_are_nine_bits_a_level_and_four_at_the_fifth() -> None:
    va = u64(0x1FF << 39 | 0x001 << 30 | 0x0AA << 21 | 0x155 << 12 | 0xFFF)
    assert [int(FOUR.index(va, level)[0]) for level in range(4)] == [0x155, 0x0AA, 0x001, 0x1FF]
    assert int(FIVE.index(u64(0xFFF5 << 48), 4)[0]) == 5


def test_descriptors() -> None:
    block, table, reserved, absent = 0x0060_0000_8020_0F01, 0x0000_0000_4123_4003, 1, 0x4123_4002
    entry = u64(block, table, reserved, absent)
    assert FOUR.present(entry, 0).tolist() == [False, True, False, False]  # 1 is reserved at the last level
    assert FOUR.present(entry, 1).tolist() == [True, True, True, False]
    assert FIVE.present(entry, 4).tolist() == [False, True, False, False]
    assert FOUR.leaf(entry, 1).tolist() == [True, False, True, False]
    assert not FOUR.leaf(entry, 0).any() and not FOUR.leaf(entry, 3).any()
    assert FOUR.target(entry).tolist() == [0x8020_0000, 0x4123_4000, 0, 0x4123_4000]
    assert FOUR.root(u64(0x1080)).tolist() == [0x1080]  # a root with 5 levels is aligned to 128 bytes


def test_a_block_with_reserved_bits_is_none() -> None:
    """Bits 20:17 of a block of 2 MiB, 29:17 of one of 1 GiB; bit 16 is nT."""
    entry = u64(0x0060_0000_8020_0F01, 0x0060_0000_8022_0F01, 0x0060_0000_8021_0F01, 0x0000_0000_4122_4003)
    assert FOUR.present(entry, 1).tolist() == [True, False, True, True]
    assert FOUR.present(u64(0x4000_0F01, 0x4020_0F01), 2).tolist() == [True, False]


def test_lpa2_puts_the_top_of_the_address_into_bits_9_and_8() -> None:
    assert FIVE.target(u64(0x0003_0000_4123_4303)).tolist() == [0x000F_0000_4123_4000]
    assert FOUR.target(u64(0x0003_0000_4123_4303)).tolist() == [0x0000_0000_4123_4000]


def test_the_likelier_format_first() -> None:
    assert arm64.formats({})[0] == FOUR
    assert arm64.formats({"TCR_EL1_T1SZ": 12})[0] == FIVE
    assert arm64.formats({"TCR_EL1_T1SZ": 16})[0] == FOUR
    assert arm64.formats({"TCR_EL1_T1SZ": 25})[0] == THREE
    assert len(arm64.formats({"TCR_EL1_T1SZ": 99})) == 4  # a number that cannot be is a preference, no more


def test_user_limit_and_kernel_pointers() -> None:
    assert [arm64.user_limit(fmt) for fmt in (THREE, FOUR, FIVE)] == [1 << 39, 1 << 48, 1 << 52]
    va = u64(0xFFFF_0000_0000_0000, 0xFFFE_FFFF_FFFF_FFFF, 0xFFF0_0000_0000_0000, 0x0000_FFFF_FFFF_FFFF, 0)
    assert arm64.is_kernel_pointer(va, FOUR).tolist() == [True, False, False, False, False]
    assert arm64.is_kernel_pointer(va, FIVE).tolist() == [True, True, True, False, False]


def test_the_linear_map_is_the_lower_half() -> None:
    """Documentation/arch/arm64/memory.rst: 48 bits, 4 KiB pages."""
    assert arm64.direct_window(FOUR, 0) == (0xFFFF_0000_0000_0000, 0xFFFF_8000_0000_0000)
    assert arm64.direct_window(FIVE, 0) == (0xFFF0_0000_0000_0000, 0xFFF8_0000_0000_0000)


def test_where_struct_pages_are() -> None:
    """PHYS_OFFSET is subtracted, whether it is named or follows from the direct map, and may be negative."""
    ram = 0x4000_0000
    delta = (0xFFFF_0000_0000_0000 - ram) % 2**64
    expected = 0xFFFF_FC00_0000_0000 - (ram >> 12) * 64
    assert arm64.vmemmap(FOUR, {"PHYS_OFFSET": ram}, 0) == expected == arm64.vmemmap(FOUR, {}, delta)
    assert arm64.vmemmap(FOUR, {"VMEMMAP_START": 0xFFFF_FDFF_C000_0000, "PHYS_OFFSET": 0}, 0) == 0xFFFF_FDFF_C000_0000
    below = arm64.vmemmap(FOUR, {"PHYS_OFFSET": 2**64 - 0x4000_0000}, 0)
    assert below == 0xFFFF_FC00_0000_0000 + (ram >> 12) * 64


def test_stated_delta() -> None:
    assert arm64.stated_delta(FOUR, {}, None) is None
    assert arm64.stated_delta(FOUR, {"PHYS_OFFSET": 0x4000_0000}, None) == 0xFFFE_FFFF_C000_0000
    # compiled for 52 bits, run with 48: PAGE_OFFSET stays that of 52
    assert arm64.stated_delta(FOUR, {"PHYS_OFFSET": 0, "VA_BITS": 52}, None) == 0xFFF0_0000_0000_0000


@pytest.mark.parametrize("name", ARM)
def test_real_kernels(node_of: NodeOf, name: str) -> None:
    kernel = node_of(name).kernel
    space, numbers = kernel.space, dict(kernel.anchors.numbers)
    assert isinstance(space.fmt, ArmFormat)
    assert space.fmt.lpa2 == ("lpa2" in name)
    assert arm64.stated_delta(space.fmt, numbers, None) == space.direct_delta
    low, high = arm64.direct_window(space.fmt, 0)
    task = node_of(name).processes.task
    assert ((task >= np.uint64(low)) & (task < np.uint64(high))).all()


def test_entries_of_swapped_pages() -> None:
    """Page 0x123 of swap space 2 in each of the three layouts that kernels have had."""
    written = u64(0x123 << 12 | 2 << 6, 0x123 << 8 | 2 << 3 | 1 << 2, 0x123 << 8 | 2 << 2)
    for row, (kind, page, is_one) in enumerate(arm64.swap_entries(written)):
        assert (int(kind[row]), int(page[row]), bool(is_one[row])) == (2, 0x123, True)
    assert [bool(is_one[0]) for _, _, is_one in arm64.swap_entries(u64(0x123 << 12 | 3))] == [False, False, False]
