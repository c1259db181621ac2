# SPDX-License-Identifier: Apache-2.0
"""arm64 with 4 KiB pages: page tables, kernel address layout, pointer tags.

Sources: Arm ARM D8 (VMSAv8-64); Documentation/arch/arm64/memory.rst; arch/arm64/include/asm/{memory,pgtable-hwdef}.h.
Roots are TTBR1 (swapper_pg_dir) for the kernel and TTBR0 (mm.pgd) for a process: a process's own root has no kernel
half. With 5 levels the top one has 16 entries and a root is aligned to 128 bytes, not to a page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memir.kernel.pagetable import U64, Bools, SwapEntries

NAME = "arm64"
USER_PERMISSIONS = {
    "user": 1 << 6,
    "read_only": 1 << 7,
    "accessed": 1 << 10,
    "write": 1 << 51,
    "no_execute": 1 << 54,
}
_FIRST_RESERVED = 17  # of a block's descriptor, up to its own address bits; bit 16 is nT
_TARGET = np.uint64(0x0000_FFFF_FFFF_F000)
_TARGET_LPA2 = np.uint64(0x0003_FFFF_FFFF_F000)
_VMEMMAP = {3: 0xFFFF_FFFE_0000_0000, 4: 0xFFFF_FC00_0000_0000, 5: 0xFFFF_C1FF_C000_0000}
_MASK = 2**64 - 1


@dataclass(frozen=True)
class ArmFormat:
    """Descriptors of 3 to 5 levels. lpa2: output addresses have 52 bits, two of them in bits 9:8."""

    levels: int
    lpa2: bool = False

    def root(self, root: U64) -> U64:
        """A root as mm.pgd gives it, not masked to a page: with 5 levels it comes from a slab."""
        return root

    def index(self, va: U64, level: int) -> U64:
        """Nine bits a level, four (51:48) at the fifth."""
        return (va >> np.uint64(12 + 9 * level)) & np.uint64(15 if level == 4 else 511)

    def present(self, entry: U64, level: int) -> Bools:
        """Bit 0; a last-level descriptor must be 3, 1 is reserved there, as a block is at the topmost levels.

        A block whose reserved bits are set is none.
        """
        low = entry & np.uint64(3)
        present: Bools = low == 3
        if level in (1, 2):
            below = np.uint64((1 << (12 + 9 * level)) - (1 << _FIRST_RESERVED))
            present |= (low == 1) & ((entry & below) == 0)
        return present

    def leaf(self, entry: U64, level: int) -> Bools:
        """A block: bits 1:0 are 1, at the 2 MiB and 1 GiB levels."""
        return ((entry & np.uint64(3)) == 1) if level in (1, 2) else np.zeros(entry.shape, bool)

    def target(self, entry: U64) -> U64:
        """Bits 47:12, with LPA2 49:12 and 51:50 from bits 9:8."""
        if not self.lpa2:
            return entry & _TARGET
        return (entry & _TARGET_LPA2) | (((entry >> np.uint64(8)) & np.uint64(3)) << np.uint64(50))


# (first bit and number of bits of the swap space's number, the same of the page's, bits that are clear)
_SWAP = (
    (6, 5, 12, 50, 0x803),  # 6.11 (fa44ea1f9b8e): PTE_PRESENT_INVALID is bit 11
    (3, 5, 8, 50, 1 << 58 | 3),  # 6.3 (570ef363509b): bit 2 remembers an exclusive page
    (2, 6, 8, 50, 1 << 58 | 3),
)


def swap_entries(entry: U64) -> list[SwapEntries]:
    """As x86_64.swap_entries; the layouts that kernels have had, newest first [source: no arm64 image has swap]."""
    return [
        (
            (entry >> np.uint64(kind)) & np.uint64((1 << kinds) - 1),
            (entry >> np.uint64(page)) & np.uint64((1 << pages) - 1),
            (entry != 0) & ((entry & np.uint64(clear)) == 0),
        )
        for kind, kinds, page, pages, clear in _SWAP
    ]


def formats(numbers: dict[str, int]) -> list[ArmFormat]:
    """Formats to try, likeliest first: TCR_EL1.T1SZ tells the levels, VA_BITS (what was compiled in) does not."""
    every = [ArmFormat(4), ArmFormat(5, lpa2=True), ArmFormat(4, lpa2=True), ArmFormat(3)]
    t1sz = numbers.get("TCR_EL1_T1SZ")
    levels = None if t1sz is None else 5 if t1sz < 16 else 3 if t1sz >= 25 else 4
    return sorted(every, key=lambda fmt: fmt.levels != levels)


def _bits(fmt: ArmFormat) -> int:
    return 52 if fmt.levels == 5 else 12 + 9 * fmt.levels


def user_limit(fmt: ArmFormat) -> int:
    """First virtual address above user space (TTBR0's half)."""
    return 1 << _bits(fmt)


def direct_window(fmt: ArmFormat, start: int) -> tuple[int, int]:
    """The linear map is the lower half of kernel space."""
    del start
    low = (1 << 64) - (1 << _bits(fmt))
    return low, low + (1 << (_bits(fmt) - 1))


def is_kernel_pointer(va: U64, fmt: ArmFormat) -> Bools:
    """Addresses that select TTBR1."""
    shift = np.uint64(_bits(fmt))
    upper: Bools = np.equal(va >> shift, np.uint64(_MASK) >> shift)
    return upper


def vmemmap(fmt: ArmFormat, numbers: dict[str, int], direct_delta: int, page_size: int = 64) -> int:
    """Address of the struct page of physical page 0.

    The kernel's formula counts from PHYS_OFFSET: page = VMEMMAP_START + ((pa - PHYS_OFFSET) >> 12) * sizeof(page).
    PHYS_OFFSET is signed and may lie far outside RAM; PAGE_OFFSET - direct_delta is the same number.
    """
    start = numbers.get("VMEMMAP_START", _VMEMMAP[fmt.levels])
    offset = numbers.get("PHYS_OFFSET")
    if offset is None:
        offset = ((1 << 64) - (1 << _bits(fmt)) - direct_delta) & _MASK
    signed = offset - (1 << 64) if offset >> 63 else offset
    return (start - (signed >> 12) * page_size) & _MASK


def stated_delta(fmt: ArmFormat, numbers: dict[str, int], page_offset_base: int | None) -> int | None:
    """PAGE_OFFSET minus PHYS_OFFSET; PAGE_OFFSET goes by the address bits that were compiled in."""
    del page_offset_base
    offset, bits = numbers.get("PHYS_OFFSET"), numbers.get("VA_BITS", _bits(fmt))
    return None if offset is None else ((1 << 64) - (1 << bits) - offset) & _MASK
