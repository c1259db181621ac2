# SPDX-License-Identifier: Apache-2.0
"""A cache of what is slow to decode, keyed by the bytes it was decoded from.

The key is a hash of the source bytes in the image, so that one image can never lend its (perhaps forged) symbols to
another: a hit is by construction what decoding would have given. Files are written under a temporary name and renamed,
so concurrent runs see whole files only.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memir.symbols import kallsyms


class Store:
    """Decoded symbol names on disk; with folder None nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def names(self, span: NDArray[np.uint8], layout: kallsyms.Layout) -> bytes:
        """`kallsyms.expand_names(span, layout)`, from the cache where the same bytes were met before."""
        if self._folder is None:
            return kallsyms.expand_names(span, layout)
        low, high = layout.names, max(layout.token_index + 512, layout.markers)
        key = hashlib.blake2b(span[low:high].tobytes(), digest_size=20, person=b"memir-kallsyms1")
        key.update(
            repr((layout.count, layout.markers - low, layout.token_table - low, layout.token_index - low)).encode()
        )
        path = self._folder / "kallsyms" / f"{key.hexdigest()}.names"
        try:
            data = path.read_bytes()
            digest, names = data[:20], data[20:]
            if hashlib.blake2b(names, digest_size=20).digest() == digest:
                return names
        except OSError:
            pass  # not there yet, or not readable: decode
        names = kallsyms.expand_names(span, layout)
        self._write(path, hashlib.blake2b(names, digest_size=20).digest() + names)
        return names

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        # a cache that cannot be written (read-only, full) only costs time
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=path.parent)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                Path(name).replace(path)
            except OSError:
                Path(name).unlink(missing_ok=True)
