# SPDX-License-Identifier: Apache-2.0
"""x86-64 page tables: entries as the processor's manual has them, and the layout of real kernels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel import x86_64
from memir.kernel.space import u64
from memir.kernel.x86_64 import X86Format
from memir.kube.ram import RamSource
from tests.images import cases

NodeOf = Callable[[str], RamSource]
FOUR, FIVE = X86Format(4), X86Format(5)
INTEL = sorted(name for name in cases() if name.startswith("s-"))


def test_indexes_are_nine_bits_a_level() -> None:
    va = u64(0x1FF << 39 | 0x001 << 30 | 0x0AA << 21 | 0x155 << 12 | 0xFFF)
    assert [int(FOUR.index(va, level)[0]) for level in range(4)] == [0x155, 0x0AA, 0x001, 0x1FF]
    assert int(FIVE.index(u64(0x123 << 48), 4)[0]) == 0x123


def test_entries() -> None:
    entry = u64(0x8000_0001_2345_6067, 0, 0x0000_0001_2340_00E7, 0x100)
    assert FOUR.present(entry, 0).tolist() == [True, False, True, False]  # 0x100: PROT_NONE
    assert FOUR.leaf(entry, 1).tolist() == [False, False, True, False]
    assert not FOUR.leaf(entry, 0).any() and not FOUR.leaf(entry, 3).any()  # bit 7 is PAT there, or reserved
    assert FOUR.target(entry).tolist() == [0x1_2345_6000, 0, 0x1_2340_0000, 0]
    assert FOUR.root(u64(0x1000_1FFF)).tolist() == [0x1000_1000]


def test_a_large_page_with_reserved_bits_is_none() -> None:
    """Bits 20:13 of a page of 2 MiB, 29:13 of one of 1 GiB; bit 12 is PAT, and a table's address may have all."""
    entry = u64(0x0000_0001_2340_00E7, 0x0000_0001_2340_20E7, 0x0000_0001_2340_10E7, 0x0000_0001_2340_2067)
    assert FOUR.present(entry, 1).tolist() == [True, False, True, True]
    assert FOUR.present(entry, 0).tolist() == [True] * 4
    assert FOUR.present(u64(0x1_4000_00E7, 0x1_4020_00E7), 2).tolist() == [True, False]


def test_memory_encryption_is_no_part_of_an_address() -> None:
    (fmt, _) = x86_64.formats({"sme_mask": 1 << 47})
    assert fmt.target(u64(1 << 47 | 0x5000 | 1)).tolist() == [0x5000]


def test_the_likelier_format_first() -> None:
    assert [fmt.levels for fmt in x86_64.formats({})] == [4, 5]
    assert [fmt.levels for fmt in x86_64.formats({"pgtable_l5_enabled": 1})] == [5, 4]


def test_user_limit_and_kernel_pointers() -> None:
    assert x86_64.user_limit(FOUR) == 1 << 47
    assert x86_64.user_limit(FIVE) == 1 << 56
    va = u64(0xFFFF_8000_0000_0000, 0xFFFF_7FFF_FFFF_FFFF, 0x7FFF_FFFF_FFFF, 0, 0xFF00_0000_0000_0000)
    assert x86_64.is_kernel_pointer(va, FOUR).tolist() == [True, False, False, False, False]
    assert x86_64.is_kernel_pointer(va, FIVE).tolist() == [True, True, False, False, True]


def test_where_things_are_without_kaslr() -> None:
    """Documentation/arch/x86/x86_64/mm.rst."""
    assert x86_64.vmemmap(FOUR, {}, 0) == 0xFFFF_EA00_0000_0000
    assert x86_64.vmemmap(FIVE, {}, 0) == 0xFFD4_0000_0000_0000
    assert x86_64.direct_window(FOUR, 0xFFFF_8880_0000_0000) == (0xFFFF_8880_0000_0000, 0xFFFF_C880_0000_0000)
    assert x86_64.stated_delta(FOUR, {}, 0xFFFF_8880_0000_0000) == 0xFFFF_8880_0000_0000
    assert x86_64.stated_delta(FOUR, {}, None) is None


@pytest.mark.parametrize("name", INTEL)
def test_real_kernels(node_of: NodeOf, name: str) -> None:
    space = node_of(name).kernel.space
    assert space.fmt.levels == (5 if "la57" in name else 4)
    assert isinstance(space.fmt, X86Format)
    # the zero page of the direct map is where the kernel says that it begins
    stated = x86_64.stated_delta(space.fmt, {}, space.direct_delta)
    assert stated == space.direct[0]
    assert space.physical(np.array([space.direct[0] + 0x10_0000], np.uint64))[0].tolist() == [0x10_0000]


def test_entries_of_swapped_pages() -> None:
    """Page 0x123 of swap space 2 as __swp_entry() writes it: the page's number inverted in bits 9 to 58."""
    entry = 2 << 59 | (~0x123 & (1 << 50) - 1) << 9
    ((kind, page, is_one),) = x86_64.swap_entries(u64(entry, entry | 0x8, entry | 1, entry | 0x100, 0))
    assert kind[:2].tolist() == [2, 2] and page[:2].tolist() == [0x123, 0x123]
    assert is_one.tolist() == [True, True, False, False, False]
