# SPDX-License-Identifier: Apache-2.0
"""Objects on blank pages are told from objects that hold zeros."""

from __future__ import annotations

from memir.kernel.blank import whole
from tests.kernel.fake import DIRECT, fake_kernel, u64


def test_blank_pages() -> None:
    kernel = fake_kernel({0x3000: 7, 0x4FF8: 7, 0x6000: 7})
    good, zero_part, blank, other = DIRECT + 0x3800, DIRECT + 0x4FC0, DIRECT + 0x5100, DIRECT + 0x6FC0
    assert whole(kernel, u64(good, zero_part, blank, other, 0), 64).tolist() == [True, True, False, True, False]
    # an object that reaches into a blank page has lost its end
    assert whole(kernel, u64(zero_part, other, good), 128).tolist() == [False, False, True]
    assert whole(kernel, u64(DIRECT + (1 << 40)), 8).tolist() == [False]
    assert whole(kernel, u64(), 8).tolist() == []
