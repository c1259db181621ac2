# SPDX-License-Identifier: Apache-2.0
"""Against the values that S3's documentation and a real server give."""

from __future__ import annotations

import base64
import hashlib
import subprocess

from memir.aws.checksum import b64, composite

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_digest_as_s3_writes_it() -> None:
    assert b64(EMPTY) == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_a_composite_is_the_hash_of_the_parts_hashes() -> None:
    parts = [hashlib.sha256(data).hexdigest() for data in (b"one", b"two")]
    raw = b"".join(bytes.fromhex(part) for part in parts)
    said = subprocess.run(["sha256sum"], input=raw, capture_output=True, check=True).stdout[:64].decode()
    assert composite(parts) == base64.b64encode(bytes.fromhex(said)).decode() + "-2"
    assert composite([]) == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-0"
