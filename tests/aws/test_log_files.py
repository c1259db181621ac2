# SPDX-License-Identifier: Apache-2.0
"""Logs in S3, copied for as long as they are read; another's bucket is not asked."""

from __future__ import annotations

import json
import uuid
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

import memir
from memir.aws import log_files
from memir.aws.log_files import copied
from memir.errors import AccessError, LogsError, StorageError, UsageError
from memir.logs.source import LogSource
from memir.logs.stream import Renamed
from tests.images import cache, case
from tests.logs.made import audit

if TYPE_CHECKING:
    from tests.acquire.rigs.s3shim import Request, Shim


@pytest.fixture
def prefix(shim: Shim) -> str:
    """A folder in the bucket: two logs, an empty object, the record of fetch-logs, and a folder beside it."""
    client: Any = boto3.Session().client("s3")
    key = uuid.uuid4().hex
    if "logs" not in [one["Name"] for one in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket="logs", CreateBucketConfiguration={"LocationConstraint": shim.region})
    for name, text in {
        "a.log": json.dumps(audit(auditID="a")), "deep/b": json.dumps(audit(auditID="b")), "empty": "",
        "fetch.json": '{\n "written_by": "memir fetch-logs"}',
    }.items():  # fmt: skip
        client.put_object(Bucket="logs", Key=f"{key}/{name}", Body=text.encode())
    client.put_object(Bucket="logs", Key=f"{key}-other/c", Body=json.dumps(audit(auditID="c")).encode())
    return f"s3://logs/{key}"


def test_a_prefix(prefix: str) -> None:
    with copied([prefix]) as copies:
        assert sorted(each.address for each in copies) == [f"{prefix}/a.log", f"{prefix}/deep/b"]
        source = LogSource([Renamed(each.path, each.address) for each in copies])
        rows = source.table("audit").to_pylist()
        assert sorted((row["audit_id"], row["log"]) for row in rows) == [
            ("a", f"{prefix}/a.log"), ("b", f"{prefix}/deep/b"),
        ]  # fmt: skip
        assert set(source.hashes) == {f"{prefix}/a.log", f"{prefix}/deep/b"}
        kept = copies[0].path
    assert not kept.exists()
    with copied([f"{prefix}/a.log"]) as copies:
        assert [each.address for each in copies] == [f"{prefix}/a.log"]


def test_logs_of_a_node_lie_in_s3(prefix: str) -> None:
    """memir.open takes what --logs takes, and the copies go when the node is closed."""
    with memir.open(case("s-6.1-small").image, cache=cache(), logs=prefix) as node:
        assert node.logs is not None and len(node.logs.files) == 2
        named = sorted(row["log"] for row in node["audit"].to_arrow().to_pylist())
        assert named == [f"{prefix}/a.log", f"{prefix}/deep/b"]
        files = node.logs.files
        assert all(path.exists() for path in files)
    assert not any(path.exists() for path in files)
    with pytest.raises(LogsError, match="no object lies there"):
        memir.open(case("s-6.1-small").image, logs=[f"{prefix}/nothing"])


def test_bounds(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LogsError, match="no object lies there"), copied([f"{prefix}/nothing"]):
        pass
    with pytest.raises(UsageError), copied(["s3://"]):
        pass
    monkeypatch.setattr("memir.aws.log_files.shutil.disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(StorageError, match="name a larger disk with TMPDIR"), copied([prefix]):
        pass
    monkeypatch.setattr(log_files, "MAX_FILES", 1)
    with pytest.raises(LogsError, match="more than 1 files"), copied([prefix]):
        pass


def test_another_s_bucket(prefix: str, shim: Shim, monkeypatch: pytest.MonkeyPatch) -> None:
    owners: list[str] = []

    def note(request: Request) -> bool:
        owners.append(request.headers.get("x-amz-expected-bucket-owner", ""))
        return False

    shim.deny_if = note
    monkeypatch.setenv("MEMIR_BUCKET_OWNER", "999999999999")
    with pytest.raises(AccessError, match="s3:ListBucket is denied"), copied([prefix]):
        pass
    assert set(owners) == {"999999999999"}
