"""From a pipe on the node to a locked object, through a real S3 server behind a strict shim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memir.acquire.awscheck import session_client
from memir.acquire.local import LocalTransport
from memir.acquire.s3 import S3Address, S3Options, composite
from memir.acquire.s3_direct import S3DirectSink
from memir.acquire.ssm import SsmTransport
from memir.acquire.ssm_command import Commander
from tests.acquire.rigs.drive import MIB, data_of, digest, drive
from tests.acquire.rigs.s3shim import Shim
from tests.acquire.rigs.ssm import SsmServer

FIVE = 5 * MIB


def make(s3: Any, bucket: str, shim: Shim, *, uploader: str = "python", **options: Any) -> S3DirectSink:
    chosen: dict[str, Any] = {"part_size": FIVE, "backoff": 0.05, "region": shim.region}
    chosen |= {"endpoint": shim.endpoint} | options
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
    for path in tmp_path.iterdir():
        assert path.name == "source" or not path.is_file() or b"X-Amz-Signature" not in path.read_bytes()


def test_over_ssm_through_the_mailbox(
    s3: Any, bucket: str, shim: Shim, tmp_path: Path, ssm_server: SsmServer
) -> None:
    agent = ssm_server.add()
    client = session_client("ssm", region=ssm_server.region, endpoint=ssm_server.endpoint, profile=None)
    place = S3Address(bucket, "case-1")
    transport = SsmTransport(Commander(client, agent.instance_id, poll=0.05, delivery=30), s3=s3, spool=place)
    source = data_of(5 * FIVE + 99)
    try:
        got = drive(make(s3, bucket, shim), transport, tmp_path, source)
    finally:
        transport.close()
    assert got.stored.missing == ()
    assert got.stored.complete
    assert got.stored.sha256 == digest(source)
    assert s3.get_object(Bucket=bucket, Key="case-1/ram.lime")["Body"].read() == source
    # no letter and no envelope is left, and no URL was ever written to the node's disk
    names = [version["Key"] for version in s3.list_object_versions(Bucket=bucket).get("Versions", [])]
    assert names == ["case-1/ram.lime"]
    assert b"X-Amz-" not in agent.disk()
    assert b"AKIA" not in agent.disk()


def test_over_ssm_where_the_bucket_keeps_everything(
    s3: Any, shim: Shim, bucket: str, tmp_path: Path, ssm_server: SsmServer
) -> None:
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    shim.locked_buckets.add(bucket)
    agent = ssm_server.add()
    client = session_client("ssm", region=ssm_server.region, endpoint=ssm_server.endpoint, profile=None)
    place = S3Address(bucket, "")
    transport = SsmTransport(Commander(client, agent.instance_id, poll=0.05, delivery=30), s3=s3, spool=place)
    source = data_of(2 * FIVE + 1)
    try:
        got = drive(make(s3, bucket, shim), transport, tmp_path, source)
    finally:
        transport.close()
    assert got.stored.missing == ()
    assert got.stored.complete
    assert got.stored.receipt["ObjectLockMode"] == "GOVERNANCE"
    assert b"X-Amz-" not in agent.disk()
