# SPDX-License-Identifier: Apache-2.0
"""mm/z3fold.c (until 6.15): up to three compressed pages in a page frame, behind a header that says where they begin.

A handle is the address of a word, which is the frame's address with the number of its page in the low bits and the size
of the last one above them; or, with bit 0 set, the address of a frame that holds one page alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.module import types_with_module
from memir.kernel.pagetable import I64, U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
    from memir.symbols.types import KernelTypes

PAGE = 4096
_CHUNK = 6  # CHUNK_SHIFT: a page is 64 of them
_FRAME = np.uint64(0xFFFF_FFFF_FFFF_F000)
_ALONE = np.uint64(1)  # PAGE_HEADLESS
_BUDDY = np.uint64(3)  # BUDDY_MASK; _SIZE above it
_SIZE = np.uint64(2)
_FIRST, _MIDDLE, _LAST = 1, 2, 3
_NEEDS = (("z3fold_header", "start_middle"),)


def module_types(kernel: Kernel, driver: U64) -> KernelTypes | None:
    """Types that include z3fold's, by its struct zpool_driver (an array of one); None where its module tells none."""
    if kernel.types.exists("z3fold_header"):
        return kernel.types
    return types_with_module(kernel, kernel.pointer(driver, "zpool_driver", "owner", gap=False), _NEEDS)


def content(kernel: Kernel, types: KernelTypes, handle: U64) -> U64:
    """Addresses of what lies behind these handles, 0 where that is not known. types: of module_types."""
    alone = handle & _ALONE != 0
    word, read = kernel.try_pointers(np.where(alone, np.uint64(0), handle))
    header = np.where(alone, handle, word) & _FRAME
    sound = kernel.space.is_kernel_pointer(header) & (alone | read)
    header = np.where(sound, header, np.uint64(0))
    # first_num, two bits, stands behind start_middle; both are read as one word
    place = types.offset("z3fold_header", "start_middle")
    both, known = kernel.try_pointers(np.where(alone, np.uint64(0), header + np.uint64(place)))
    middle, first_number = (both & np.uint64(0xFFFF)).astype(np.int64), (both >> np.uint64(16)) & _BUDDY
    buddy = np.where(alone, np.uint64(0), (word - first_number) & _BUDDY).astype(np.int64)
    size = ((word & ~_FRAME) >> _SIZE).astype(np.int64)
    begin = -(-types.size("z3fold_header") >> _CHUNK) << _CHUNK
    offset: I64 = np.select([buddy == _FIRST, buddy == _MIDDLE, buddy == _LAST],
                            [np.int64(begin), middle << _CHUNK, PAGE - (size << _CHUNK)], 0)  # fmt: skip
    sound &= alone | (known & (buddy > 0) & (offset >= begin) & (offset < PAGE))
    return np.where(sound, header + offset.astype(np.uint64), np.uint64(0))
