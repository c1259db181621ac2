# SPDX-License-Identifier: Apache-2.0
"""A pod collected into a real S3 server: judged there and from the record, brought here, analyzed, hunted; cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.transports.local import LocalTransport
from memir.aws.address import S3Address
from memir.aws.client import Connection
from memir.aws.evidence import S3PartReader, fetched
from memir.collect.objects import ObjectStore
from memir.collect.run import CollectOptions, PodCollection
from memir.collect.target import by_uid
from memir.errors import CustodyError, PartialError, StorageError
from memir.evidence.verify import verify
from memir.open_node import open as open_node
from tests.acquire.rigs.s3shim import Request, Shim
from tests.acquire.rigs.sshd import keygen
from tests.collect.podrig import HEAP, PodRig

RECORD = ["manifest.jsonl", "manifest.sig", "receipt.json"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def collection(pod: PodRig, record: Path, bucket: str, shim: Shim, s3: Any, **options: Any) -> PodCollection:
    chosen = S3Options(Connection(shim.region, shim.endpoint), backoff=0.05)
    store = ObjectStore(S3Address(bucket, "ir-7/web"), chosen, s3)
    return PodCollection(LocalTransport(pod.root), by_uid(pod.uid), record, CollectOptions(**options), store=store)


def bring(s3: Any, bucket: str, folder: Path) -> None:
    """As `aws s3 cp --recursive` does."""
    for item in s3.list_objects_v2(Bucket=bucket, Prefix="ir-7/web/")["Contents"]:
        path = folder / item["Key"].removeprefix("ir-7/web/")
        path.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, item["Key"], str(path))


def test_whole_and_judged_three_ways(pod: PodRig, s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    key = keygen(tmp_path / "key")
    record = tmp_path / "record"
    run = collection(pod, record, bucket, shim, s3, sign_key=key)
    assert "store every file under" in "".join(step.what for step in run.plan().steps)
    receipt = run.execute()
    where = f"s3://{bucket}/ir-7/web"
    assert (receipt["status"], receipt["missing"], receipt["collection"]["where"]) == ("complete", [], where)
    assert pod.left() == []
    assert names(record) == RECORD
    core = s3.get_object(Bucket=bucket, Key=f"ir-7/web/clear/memory/{pod.pid}.core")["Body"].read()
    assert HEAP in core

    # the record alone; with the files where they are; all of it from there
    alone = verify(record)
    assert (alone.problems, alone.status, alone.exit_code) == ([], "not read", 4)
    assert f"files at {where} were not read: --fetch reads them there" in alone.missing[0]
    connection = Connection(shim.region, shim.endpoint)
    seen = verify(record, reader=S3PartReader(connection=connection), public_key=tmp_path / "key.pub")
    assert (seen.problems, seen.status, seen.exit_code) == ([], "complete", 0)
    with fetched(where, connection) as copy:
        assert names(copy) == RECORD, "the files are read where they are"
        there = verify(copy, reader=S3PartReader(connection=connection, within=where))
    assert (there.problems, there.status) == ([], "complete")

    # brought here
    with pytest.raises(CustodyError, match=f"its files are in {where}: bring them here with"):
        open_node(record)
    here = tmp_path / "here"
    bring(s3, bucket, here)
    found = verify(here, public_key=tmp_path / "key.pub")
    assert (found.problems, found.status, found.exit_code) == ([], "complete", 0)
    with open_node(here) as node:
        assert pod.pid in node["processes"]["pid"]
        (tmp_path / "heap.yar").write_text(f'rule heap {{ strings: $a = "{HEAP.decode()}" condition: $a }}')
        assert pod.pid in node.hunt(tmp_path / "heap.yar").to_arrow()["pid"].to_pylist()

    # changed, removed and put there, in the bucket
    prefix = f"ir-7/web/node/containers/{pod.container}"
    s3.delete_object(Bucket=bucket, Key=f"{prefix}/upper.tar")
    s3.put_object(Bucket=bucket, Key="ir-7/web/node/planted", Body=b"x")
    versioned = verify(record, reader=S3PartReader(connection=connection))
    assert [(problem.where, problem.what) for problem in versioned.problems] == [
        (f"{where}/node/planted", "is not in the manifest")
    ], "the recorded version of what was deleted is still there"
    bring(s3, bucket, tmp_path / "later")
    lacking = {problem.where: problem.what for problem in verify(tmp_path / "later").problems}
    assert lacking == {"node/planted": "is not in the manifest"}
    assert verify(tmp_path / "later").status == "not read"


def test_another_s_bucket_is_not_asked(pod: PodRig, s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    record = tmp_path / "record"
    collection(pod, record, bucket, shim, s3, memory=False).execute()
    other = S3PartReader(connection=Connection(shim.region, shim.endpoint), within="s3://other/x")
    with pytest.raises(CustodyError, match="outside of s3://other/x"):
        verify(record, reader=other)


def test_a_store_that_dies_leaves_a_partial_collection(
    pod: PodRig, s3: Any, bucket: str, shim: Shim, tmp_path: Path
) -> None:
    record = tmp_path / "record"

    def cut(request: Request) -> int | None:
        return 0 if request.method == "PUT" and "/node/runtime/" in request.path else None

    shim.cut = cut
    with pytest.raises(PartialError, match=f"^s3://{bucket}/ir-7/web: partial, .*What arrived is kept"):
        collection(pod, record, bucket, shim, s3).execute()
    shim.cut = None
    found = verify(record, reader=S3PartReader(connection=Connection(shim.region, shim.endpoint)))
    assert (found.problems, found.status, found.exit_code) == ([], "partial", 4)
    assert s3.get_object(Bucket=bucket, Key="ir-7/web/manifest.jsonl")["Body"].read() == (
        record / "manifest.jsonl"
    ).read_bytes()
    with pytest.raises(StorageError, match="exists already and evidence is never overwritten"):
        collection(pod, tmp_path / "again", bucket, shim, s3).store.sink.record("manifest.jsonl", b"x")  # type: ignore[union-attr]
