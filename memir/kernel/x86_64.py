# SPDX-License-Identifier: Apache-2.0
"""x86-64: page tables, kernel address layout.

Sources: Intel SDM vol. 3 chapter 4; Documentation/arch/x86/x86_64/mm.rst; arch/x86/include/asm/pgtable_types.h.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memir.kernel.pagetable import U64, Bools, SwapEntries

NAME = "x86_64"
USER_PERMISSIONS = {
    "write": 1 << 1,
    "user": 1 << 2,
    "accessed": 1 << 5,
    "dirty": 1 << 6,
    "no_execute": 1 << 63,
}
_PRESENT = np.uint64(1)
_HUGE = np.uint64(1 << 7)
_FIRST_RESERVED = 13  # of a large page's entry, up to its own address bits; bit 12 is PAT
_TARGET = np.uint64(0x000F_FFFF_FFFF_F000)
_KERNEL_IMAGE = 0xFFFF_FFFF_8000_0000
_VMEMMAP = {4: 0xFFFF_EA00_0000_0000, 5: 0xFFD4_0000_0000_0000}
_DIRECT_SIZE = {4: 1 << 46, 5: 1 << 55}


@dataclass(frozen=True)
class X86Format:
    """Entries of 4- or 5-level tables. memory_encryption: bits that mark encrypted pages (sme_me_mask)."""

    levels: int
    memory_encryption: int = 0

    def root(self, root: U64) -> U64:
        """A root as mm.pgd gives it: under PTI the user's copy is the second page of the pair, never this one."""
        return root & _TARGET

    def index(self, va: U64, level: int) -> U64:
        """Nine bits a level."""
        return (va >> np.uint64(12 + 9 * level)) & np.uint64(511)

    def present(self, entry: U64, level: int) -> Bools:
        """Bit 0; PROT_NONE and swap entries have it clear. A large page whose reserved bits are set is none."""
        present: Bools = np.not_equal(entry & _PRESENT, 0)
        if level in (1, 2):  # of random bytes nearly all that look large fail here; each would map up to 1 GiB
            below = np.uint64((1 << (12 + 9 * level)) - (1 << _FIRST_RESERVED))
            present &= ((entry & _HUGE) == 0) | ((entry & below) == 0)
        return present

    def leaf(self, entry: U64, level: int) -> Bools:
        """Bit 7 at the 2 MiB and 1 GiB levels."""
        return ((entry & _HUGE) != 0) if level in (1, 2) else np.zeros(entry.shape, bool)

    def target(self, entry: U64) -> U64:
        """Bits 51:12, memory encryption bits taken out."""
        return entry & _TARGET & ~np.uint64(self.memory_encryption)


def swap_entries(entry: U64) -> list[SwapEntries]:
    """How last-level entries that are not present name pages in swap: (number of the swap space, page in it, is one).

    arch/x86/include/asm/pgtable_64.h: the page's number is inverted against L1TF (4.18, bcd11afa7ade); bit 8 is
    _PAGE_PROTNONE.
    """
    kind = entry >> np.uint64(59)
    page = (~entry << np.uint64(5)) >> np.uint64(14)
    return [(kind, page, (entry != 0) & ((entry & np.uint64(0x101)) == 0))]


def formats(numbers: dict[str, int]) -> list[X86Format]:
    """Formats to try, likeliest first; VMCOREINFO's numbers say whether paging has five levels."""
    encryption = numbers.get("sme_mask", 0)
    four, five = X86Format(4, encryption), X86Format(5, encryption)
    return [five, four] if numbers.get("pgtable_l5_enabled") else [four, five]


def user_limit(fmt: X86Format) -> int:
    """First virtual address above user space."""
    return 1 << (12 + 9 * fmt.levels - 1)


def direct_window(fmt: X86Format, start: int) -> tuple[int, int]:
    """Virtual addresses that the direct map may hold, from where it starts."""
    return start, min(start + _DIRECT_SIZE[fmt.levels], _KERNEL_IMAGE - (1 << 40))


def is_kernel_pointer(va: U64, fmt: X86Format) -> Bools:
    """Canonical addresses of the upper half."""
    shift = np.uint64(12 + 9 * fmt.levels - 1)
    upper: Bools = np.equal(va >> shift, np.uint64(2**64 - 1) >> shift)
    return upper


def vmemmap(fmt: X86Format, numbers: dict[str, int], direct_delta: int) -> int:
    """Address of the struct page of physical page 0 where KASLR did not move it."""
    del numbers, direct_delta
    return _VMEMMAP[fmt.levels]


def stated_delta(fmt: X86Format, numbers: dict[str, int], page_offset_base: int | None) -> int | None:
    """Where the direct map begins: the kernel's own variable; it maps physical address 0 there."""
    del fmt, numbers
    return page_offset_base
