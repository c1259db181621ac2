# SPDX-License-Identifier: Apache-2.0
"""Rows are copied whole, into new memory or into the caller's."""

from __future__ import annotations

import numpy as np
import pytest

from memir.image.gather import aligned, rows

DATA = np.random.default_rng(1).integers(0, 256, 8 * 4096 + 32, dtype=np.uint8)


@pytest.mark.parametrize("low", [0, 32])  # a LiME file's pages lie behind its header of 32 bytes
def test_whole_pages_into_a_buffer(low: int) -> None:
    index = np.array([3, 0, 7, 3], np.int64) * 4096 + low
    out = np.full((6, 4096), 7, np.uint8)
    result = rows(DATA, index, 4096, out)
    assert result.base is not None and np.shares_memory(result, out) and result.shape == (4, 4096)
    for row, at in zip(result, index.tolist(), strict=True):
        assert row.tobytes() == DATA[at : at + 4096].tobytes()
    assert (out[4:] == 7).all()


def test_pieces_that_lie_anyhow() -> None:
    index = np.array([5, 4096, 8 * 4096 + 32 - 100], np.int64)
    expected = [DATA[at : at + 100].tobytes() for at in index.tolist()]
    assert [row.tobytes() for row in rows(DATA, index, 100)] == expected
    assert [row.tobytes() for row in rows(DATA, index, 100, np.zeros((3, 100), np.uint8))] == expected
    none = np.zeros(0, np.int64)
    assert rows(DATA, none, 4096, np.zeros((2, 4096), np.uint8)).shape == (0, 4096)


def test_words() -> None:
    words = aligned(DATA)
    assert set(words) >= {2, 4, 8} if DATA.ctypes.data % 8 == 0 else 8 not in words
    assert int(words[2][1]) == int(DATA[2]) | int(DATA[3]) << 8
    assert 2 not in aligned(DATA[1:]) if DATA.ctypes.data % 2 == 0 else 2 in aligned(DATA[1:])
