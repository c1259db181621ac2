# SPDX-License-Identifier: Apache-2.0
"""Objects of which a page is all zeros: a live capture or a cut image leaves them so, and zeros look like values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_PAGE = 4096
_FIRST = 64  # bytes
_AT_ONCE = 1024  # 4 MiB of pages in memory


def whole(kernel: Kernel, address: U64, size: int) -> Bools:
    """Whether these objects of `size` bytes lie in pages that are in the image and not blank; false for address 0.

    No kernel object is all zeros in a whole page of its own, so that a blank page was never read. bool[n].
    """
    address = np.asarray(address, np.uint64)
    first = address & ~np.uint64(_PAGE - 1)
    last = (address + np.uint64(max(size, 1) - 1)) & ~np.uint64(_PAGE - 1)
    pages = distinct(np.concatenate((first, last)))
    # most pages tell by their first words: the rest is read of those that begin with zeros
    words, good = kernel.read_bytes(pages, _FIRST)
    good &= kernel.try_pointers(pages + np.uint64(_PAGE - 8))[1]
    blank = np.flatnonzero(good & ~words.view("<u8").any(axis=1))
    for begin in range(0, len(blank), _AT_ONCE):
        rows = blank[begin : begin + _AT_ONCE]
        raw, ok = kernel.read_bytes(pages[rows], _PAGE)
        good[rows] = ok & raw.view("<u8").any(axis=1)
    both: Bools = good[np.searchsorted(pages, first)] & good[np.searchsorted(pages, last)] & (address != 0)
    return both
