# SPDX-License-Identifier: Apache-2.0
"""Pages as zram's compressors pack them."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import lz4.block  # type: ignore[import-untyped]
import lzallright
import pytest
import zstandard

from memir.image.packed_page import unpack

PAGE = b"".join(b"memir %06d\n" % number for number in range(400))[:4096]


def _deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(6, zlib.DEFLATED, -11)
    return stream.compress(data) + stream.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "lzo": lambda data: bytes(lzallright.LZOCompressor().compress(data)),
    "lzo-rle": lambda data: b"\x11\x01" + bytes(lzallright.LZOCompressor().compress(data)),
    "lz4": lambda data: bytes(lz4.block.compress(data, store_size=False)),
    "lz4hc": lambda data: bytes(lz4.block.compress(data, store_size=False, mode="high_compression")),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "deflate": _deflate,
}


@pytest.mark.parametrize("name", list(PACK))
def test_each_compressor(name: str) -> None:
    assert unpack(name, PACK[name](PAGE)) == PAGE
    with pytest.raises(ValueError, match=r"."):
        unpack(name, PACK[name](PAGE)[:-9])
    with pytest.raises(ValueError, match=r"."):
        unpack(name, PACK[name](PAGE * 2))


@pytest.mark.parametrize("name", ["842", ""])
def test_other_compressors_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"packed by {name or 'no compressor'}, which memir cannot unpack"):
        unpack(name, PAGE)
