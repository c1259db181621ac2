# SPDX-License-Identifier: Apache-2.0
"""Where logs go: a folder, a prefix in S3."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from memir.aws.client import Connection
from memir.aws.fetch.store import WRITTEN_BY, BucketStore, FolderStore, Store, store_of
from memir.errors import StorageError, UsageError
from tests.aws.fetch.account import REGION, Account

DOCUMENT = {"written_by": WRITTEN_BY, "to": "x"}


def _cut() -> Iterator[bytes]:
    yield b"half"
    raise RuntimeError("cut")


def _behaves(store: Store) -> None:
    assert (store.times(), store.record()) == ({}, None)
    stored = store.put("audit/a.gz", iter([b"one", b"two"]))
    assert (stored.size, stored.sha256) == (6, hashlib.sha256(b"onetwo").hexdigest())
    with pytest.raises(RuntimeError):
        store.put("audit/b.gz", _cut())
    store.write_record(DOCUMENT)
    assert store.record() == DOCUMENT
    assert [name for name in store.times() if name.endswith(".gz")] == ["audit/a.gz"]


def test_folder(tmp_path: Path) -> None:
    store = store_of(str(tmp_path / "logs"), Connection())
    assert isinstance(store, FolderStore)
    _behaves(store)
    assert (tmp_path / "logs/audit/a.gz").read_bytes() == b"onetwo"
    (tmp_path / "logs/fetch.json").write_text("{}")
    with pytest.raises(StorageError, match="none of memir's"):
        store.record()
    (tmp_path / "logs/fetch.json").write_text("{")
    with pytest.raises(StorageError, match="cannot be read"):
        store.record()
    with pytest.raises(StorageError, match="holds other files: give an empty folder"):
        FolderStore(tmp_path).record()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        FolderStore(tmp_path / "file").put("a.gz", iter([b""]))


def test_bucket(account: Account) -> None:
    s3 = boto3.Session().client("s3")
    s3.create_bucket(Bucket="store", CreateBucketConfiguration={"LocationConstraint": REGION})
    store = store_of("s3://store/case/logs", Connection())
    assert isinstance(store, BucketStore) and store.where == "s3://store/case/logs"
    _behaves(store)
    assert s3.get_object(Bucket="store", Key="case/logs/audit/a.gz")["Body"].read() == b"onetwo"
    with pytest.raises(StorageError, match="there is no such bucket"):
        store_of("s3://absent/case", Connection()).record()
    with pytest.raises(UsageError):
        store_of("s3://", Connection())
