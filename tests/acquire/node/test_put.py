# SPDX-License-Identifier: Apache-2.0
"""A file is stored by a signed URL that comes on standard input, and only as what was signed."""

from __future__ import annotations

import hashlib
import io
import sys
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.node import put
from memir.aws.checksum import b64


def test_the_signed_bytes_and_no_others(s3: Any, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"kallsyms\n" * 1000
    checksum = b64(hashlib.sha256(body).hexdigest())
    url = s3.generate_presigned_url(
        "put_object", Params={"Bucket": bucket, "Key": "case/out", "ChecksumSHA256": checksum}
    )
    monkeypatch.setattr(sys, "argv", ["put.py", str(tmp_path / "out"), checksum])
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{url}\n"))
    (tmp_path / "out").write_bytes(body)
    put.main()
    assert s3.get_object(Bucket=bucket, Key="case/out")["Body"].read() == body
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{url}\n"))
    (tmp_path / "out").write_bytes(body[:-1])
    with pytest.raises(urllib.error.HTTPError, match="400"):
        put.main()
