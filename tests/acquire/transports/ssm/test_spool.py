# SPDX-License-Identifier: Apache-2.0
"""What goes through the bucket, against a real S3 server, and with the script that the node runs."""

from __future__ import annotations

import hashlib
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.transports.ssm.spool import Spool, send_script
from memir.aws.address import S3Address
from memir.errors import RemoteError, StorageError


@pytest.fixture
def spool(s3: Any, bucket: str) -> Spool:
    return Spool(s3, S3Address(bucket, "case"), "ssm-r1")


def left(spool: Spool) -> list[str]:
    answer = spool.client.list_object_versions(Bucket=spool.address.bucket)
    return [each["Key"] for each in answer.get("Versions", [])]


def test_an_envelope_is_read_by_its_url_and_forgotten(spool: Spool) -> None:
    url = spool.stage(b"sealed", "in.1")
    assert spool.key("in.1") == "case/.memir-ssm-r1/in.1"
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"sealed"
    assert left(spool) == ["case/.memir-ssm-r1/in.1"]
    spool.forget("in.1")
    assert left(spool) == []
    spool.forget("in.1")


@pytest.mark.parametrize("http", ["curl", "python3"])
def test_an_output_of_the_node_is_taken_once(spool: Spool, tmp_path: Path, http: str) -> None:
    data = b"kallsyms\n" * 10_000
    (tmp_path / "out").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    text = send_script(str(tmp_path / "out"), digest, http)
    subprocess.run(["sh", "-c", text], input=spool.invite("out.1", digest).encode() + b"\n", check=True)
    assert not (tmp_path / "out").exists()
    assert spool.take("out.1", digest) == data
    assert left(spool) == []
    with pytest.raises(RemoteError, match="no such object"):
        spool.take("out.1", digest)


def test_other_bytes_are_not_taken(spool: Spool) -> None:
    spool.stage(b"changed", "out.1")
    with pytest.raises(StorageError, match=r"out\.1 is not what the node sent"):
        spool.take("out.1", "00" * 32)
    assert left(spool) == []
