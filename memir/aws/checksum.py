# SPDX-License-Identifier: Apache-2.0
"""Checksums as S3 writes them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence


def b64(sha256: str) -> str:
    """A hex digest as S3 writes checksums."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def composite(digests: Sequence[str]) -> str:
    """S3's COMPOSITE SHA-256 of an upload: the hash of the parts' hashes, and their number."""
    whole = hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests))
    return f"{base64.b64encode(whole.digest()).decode()}-{len(digests)}"
