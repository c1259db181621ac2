# SPDX-License-Identifier: Apache-2.0
"""One page as the kernel's compressors pack it (zram, zswap), unpacked. The names are those of the kernel's crypto."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from memir.image import lzo_rle

PAGE = 4096


def unpack(algorithm: str, data: bytes) -> bytes:
    """The 4,096 bytes of a page. ValueError if the stream is damaged, or of an algorithm that is not in ALGORITHMS."""
    decoder = ALGORITHMS.get(algorithm)
    if decoder is None:
        raise ValueError(f"packed by {algorithm or 'no compressor'}, which memir cannot unpack")
    page = decoder(data)
    if len(page) != PAGE:
        raise ValueError(f"it gave {len(page)} bytes, not {PAGE}")
    return page


def _lzo(data: bytes) -> bytes:
    """lzo and lzo-rle: by the library where the stream has no run of zeros, which it takes for a match too far back."""
    import lzallright

    plain = data[2:] if len(data) >= 5 and data[0] == 17 else data
    try:
        return bytes(lzallright.LZOCompressor.decompress(plain, PAGE))
    except (lzallright.LZOError, lzallright.InputNotConsumed):
        return lzo_rle.decompress(data, PAGE)


def _lz4(data: bytes) -> bytes:
    import lz4.block  # type: ignore[import-untyped]  # the package has no types

    try:
        return bytes(lz4.block.decompress(data, uncompressed_size=PAGE))
    except lz4.block.LZ4BlockError as error:
        raise ValueError(str(error)) from error


def _zstd(data: bytes) -> bytes:
    import zstandard

    try:
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=PAGE)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error


def _deflate(data: bytes) -> bytes:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return stream.decompress(data, PAGE + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error


ALGORITHMS: dict[str, Callable[[bytes], bytes]] = {
    "lzo": _lzo, "lzo-rle": _lzo, "lz4": _lz4, "lz4hc": _lz4, "zstd": _zstd, "deflate": _deflate,
}  # fmt: skip
"""What can be unpacked. 842 is not among them: no kernel of a cloud's node has it by default."""
