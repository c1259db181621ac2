# SPDX-License-Identifier: Apache-2.0
"""Files of a collection as objects of a real S3 server: small, large, refused, cut."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.sinks.s3.base import MIB
from memir.acquire.sinks.s3.options import S3Options
from memir.aws.address import S3Address
from memir.aws.client import Connection
from memir.collect.folder import Folder
from memir.collect.objects import ObjectStore
from memir.errors import AccessError, StorageError
from memir.evidence.custody import Manifest
from tests.acquire.rigs.drive import data_of
from tests.acquire.rigs.s3shim import Request, Shim

FIVE = 5 * MIB


def store(s3: Any, bucket: str, shim: Shim, **options: Any) -> ObjectStore:
    chosen = S3Options(Connection(shim.region, shim.endpoint), part_size=FIVE, backoff=0.05, **options)
    return ObjectStore(S3Address(bucket, "case/pod"), chosen, s3, small=FIVE)


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_bytes().splitlines()]


def test_small_and_large_files(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    folder = Folder(tmp_path, manifest, store=store(s3, bucket, shim, lock_mode="GOVERNANCE", lock_days=2), run_id="r")
    folder.add("api/pod.json", b"{}")
    large = data_of(2 * FIVE + 7)
    file = folder.open("clear/memory/7.core")
    for start in range(0, len(large), MIB):
        file.write(large[start : start + MIB])
    digest = file.close()
    manifest.close()
    assert digest == hashlib.sha256(large).hexdigest() == file.close(), "closed twice, recorded once"
    for name, data in (("api/pod.json", b"{}"), ("clear/memory/7.core", large)):
        assert s3.get_object(Bucket=bucket, Key=f"case/pod/{name}")["Body"].read() == data
    small, begun, big = records(tmp_path)
    assert (small["stored"]["where"], small["stored"]["size"]) == (f"s3://{bucket}/case/pod/api/pod.json", 2)
    assert (begun["event"], begun["where"]) == ("capture", f"s3://{bucket}/case/pod/clear/memory/7.core")
    assert begun["upload_id"] == big["stored"]["UploadId"]
    assert (big["name"], big["size"], big["sha256"]) == ("clear/memory/7.core", len(large), digest)
    assert big["stored"]["ObjectLockMode"] == "GOVERNANCE"
    assert big["stored"]["VersionId"]
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.jsonl"], "nothing of the pod is here"


def test_never_overwritten(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    s3.put_object(Bucket=bucket, Key="case/pod/api/pod.json", Body=b"of another run")
    manifest = Manifest(tmp_path)
    folder = Folder(tmp_path, manifest, store=store(s3, bucket, shim))
    with pytest.raises(StorageError, match="exists already and evidence is never overwritten"):
        folder.add("api/pod.json", b"{}")
    manifest.close()
    assert (folder.names, records(tmp_path)) == ([], [])


def test_a_store_that_refuses_in_a_large_file(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    folder = Folder(tmp_path, manifest, store=store(s3, bucket, shim, attempts=1))

    def cut(request: Request) -> int | None:
        return 0 if request.query.get("partNumber") == "1" else None

    shim.cut = cut
    file = folder.open("node/containers/c/upper.tar")
    with pytest.raises(StorageError, match="what was stored stays in"):
        for _ in range(40):
            file.write(bytes(MIB))
    file.close()
    manifest.close()
    assert [row["event"] for row in records(tmp_path)] == ["capture"], "no file is recorded"


def test_an_upload_that_cannot_be_completed(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    folder = Folder(tmp_path, manifest, store=store(s3, bucket, shim))
    file = folder.open("node/x")
    file.write(bytes(FIVE + 1))
    s3.put_object(Bucket=bucket, Key="case/pod/node/x", Body=b"of another run")
    with pytest.raises(StorageError, match="exists already"):
        file.close()
    manifest.close()


def test_denied_and_what_is_told_before(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    there = store(s3, bucket, shim, lock_mode="COMPLIANCE", lock_days=3)
    assert [check.level for check in there.check()] == ["ok"] * len(there.check())
    assert "with COMPLIANCE lock for 3 days" in there.steps()[0].what
    assert [trace.stays for trace in there.traces()] == [True, False]
    shim.deny = {"s3:PutObject"}
    manifest = Manifest(tmp_path)
    with pytest.raises(AccessError, match=r"^s3:PutObject is denied on s3://"):
        Folder(tmp_path, manifest, store=there).add("api/pod.json", b"{}")
    manifest.close()
