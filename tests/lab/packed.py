# SPDX-License-Identifier: Apache-2.0
"""RAM that the lab saved, packed as samples are."""

from __future__ import annotations

from pathlib import Path

import zstandard


def pack(raw: Path, packed: Path, level: int) -> None:
    """As `zstd -LEVEL --long=27`."""
    settings = zstandard.ZstdCompressionParameters.from_level(level, window_log=27, enable_ldm=True, threads=2)
    with raw.open("rb") as source, packed.open("wb") as target:
        zstandard.ZstdCompressor(compression_params=settings).copy_stream(source, target, size=raw.stat().st_size)
