"""From a pipe on the node to a locked object, through a real S3 server behind a strict shim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memir.acquire.local import LocalTransport
from memir.acquire.s3 import S3Address, S3Options, composite
from memir.acquire.s3_direct import S3DirectSink
from tests.acquire.rigs.drive import MIB, data_of, digest, drive
from tests.acquire.rigs.s3shim import Shim

FIVE = 5 * MIB


def make(s3: Any, bucket: str, shim: Shim, *, uploader: str = "python", **options: Any) -> S3DirectSink:
    chosen = {"part_size": FIVE, "backoff": 0.05, "region": shim.region, "endpoint": shim.endpoint} | options
    sink = S3DirectSink(S3Address(bucket, "case-1"), S3Options(**chosen), s3)
    sink.uploader = uploader
    return sink


@pytest.mark.parametrize("uploader", ["python", "bash"])
def test_whole_way(s3: Any, bucket: str, shim: Shim, tmp_path: Path, uploader: str) -> None:
    source = data_of(3 * FIVE + 12345)
    sink = make(s3, bucket, shim, uploader=uploader, lock_mode="GOVERNANCE", lock_days=2)
    got = drive(sink, LocalTransport(), tmp_path, source)
    assert got.stored.missing == ()
    assert got.stored.complete
    assert [part.size for part in got.parts] == [FIVE, FIVE, FIVE, 12345]
    assert [part.sha256 for part in got.parts] == [
        digest(source[start : start + FIVE]) for start in range(0, len(source), FIVE)
    ]
    assert got.stored.sha256 == digest(source)
    assert got.stored.size == len(source)
    assert got.stored.receipt["ObjectLockMode"] == "GOVERNANCE"
    assert str(got.stored.receipt["ObjectLockRetainUntilDate"]) > "2026"
    assert got.stored.receipt["VersionId"]
    assert got.stored.receipt["ChecksumSHA256"] == composite([part.sha256 for part in got.parts])
    body = s3.get_object(Bucket=bucket, Key="case-1/ram.lime")["Body"].read()
    assert body == source
    assert sink.reread(got.parts) == []
    # no URL stays in the run's directory
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.name != "source" and path.is_file())
    assert b"X-Amz-Signature" not in left
