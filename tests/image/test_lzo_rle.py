# SPDX-License-Identifier: Apache-2.0
"""LZO streams: what a library packed, runs of zeros by the format's description, and damage."""

from __future__ import annotations

import random

import lzallright
import pytest

from memir.image.lzo_rle import decompress

END = bytes([17, 0, 0])


@pytest.mark.parametrize(
    "data",
    [
        b"x", b"abcd" * 1000, bytes(4096), b"".join(b"line %06d\n" % n for n in range(400)), bytes(range(256)) * 40,
        random.Random(3).randbytes(5000) + b"ab" * 700 + random.Random(4).randbytes(300) * 60,
    ],
)  # fmt: skip
def test_what_a_library_packed(data: bytes) -> None:
    packed = bytes(lzallright.LZOCompressor().compress(data))
    assert decompress(packed, len(data)) == data
    assert decompress(b"\x11\x01" + packed, len(data)) == data  # with a version, and no run


def test_a_run_of_zeros() -> None:
    """00011LLL, 0xFFFC and how many literals follow, then the length's high bits: 4 and more zeros."""
    run = 3 | 5 << 3
    stream = bytes([17, 1, 17 + 5]) + b"hello" + bytes([0x18 | run & 7, 0xFC | 2, 0xFF, run >> 3]) + b"ab" + END
    assert decompress(stream, 5 + run + 4 + 2) == b"hello" + bytes(run + 4) + b"ab"
    # without a version the same bytes are a match that lies too far back
    with pytest.raises(ValueError, match="before the start"):
        decompress(stream[2:], 5 + run + 4 + 2)


@pytest.mark.parametrize("cut", [1, 5, 20, 60])
def test_a_stream_that_was_cut(cut: int) -> None:
    data = b"".join(b"line %06d\n" % n for n in range(400))
    packed = bytes(lzallright.LZOCompressor().compress(data))
    with pytest.raises(ValueError, match=r"too early|bytes, not"):
        decompress(packed[:-cut], len(data))


def test_no_stream_gives_more_than_was_asked_for() -> None:
    packed = bytes(lzallright.LZOCompressor().compress(b"ab" * 5000))
    with pytest.raises(ValueError, match="more than 4096"):
        decompress(packed, 4096)


def test_noise() -> None:
    noise = random.Random(7)
    for _ in range(500):
        try:
            page = decompress(b"\x11\x01" + noise.randbytes(noise.randrange(1, 400)), 4096)
        except ValueError:
            continue
        assert len(page) == 4096
