# SPDX-License-Identifier: Apache-2.0
"""Where fetched logs go: a folder, or a prefix in S3. A file is there under its name only when it is whole."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from memir.aws.address import S3Address
from memir.aws.checksum import b64
from memir.aws.client import Connection, s3_client
from memir.aws.errors import calling, cause_code
from memir.errors import RemoteError, StorageError

RECORD = "fetch.json"
"""What a run has asked and got; no log, and left out by --logs (memir.logs.stream)."""
WRITTEN_BY = "memir fetch-logs"
_MAX_RECORD = 64 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """size: bytes. sha256: hex digits."""

    size: int
    sha256: str


class Store(Protocol):
    """A destination."""

    where: str

    def times(self) -> dict[str, datetime]:
        """When each file that is whole was stored, by name."""

    def put(self, name: str, blocks: Iterable[bytes]) -> Stored:
        """Store a file, or another in its place."""

    def record(self) -> dict[str, Any] | None:
        """The record of the run before; None where there is none. StorageError for one that is none of memir's."""

    def write_record(self, document: dict[str, Any]) -> None:
        """Store it, in the place of the one before."""


def store_of(where: str, to: Connection) -> Store:
    """The destination that `-o` names. UsageError for an address that is none."""
    return BucketStore(S3Address.parse(where), to) if where.startswith("s3://") else FolderStore(Path(where))


class FolderStore:
    """A folder; made when first written to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = str(folder)

    def times(self) -> dict[str, datetime]:
        """By name below the folder; unfinished files have none."""
        return {
            path.relative_to(self._folder).as_posix(): datetime.fromtimestamp(path.stat().st_mtime, UTC)
            for path in self._folder.rglob("*.gz") if path.is_file()
        } if self._folder.is_dir() else {}  # fmt: skip

    def put(self, name: str, blocks: Iterable[bytes]) -> Stored:
        """Written beside, then renamed: a run that is cut leaves NAME.part, which the next one writes anew."""
        path = self._folder / name
        unfinished = path.with_name(path.name + ".part")
        with self._writing(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as file:
                stored = _write(file, blocks)
            unfinished.replace(path)
        return stored

    def record(self) -> dict[str, Any] | None:
        """Of fetch.json."""
        path = self._folder / RECORD
        if not path.is_file():
            if self._folder.is_dir() and any(self._folder.iterdir()):
                raise StorageError(f"{self.where} holds other files: give an empty folder with -o")
            return None
        with path.open("rb") as file:
            return _record(file.read(_MAX_RECORD), self.where)

    def write_record(self, document: dict[str, Any]) -> None:
        """To fetch.json."""
        with self._writing(RECORD):
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = self._folder / f"{RECORD}.part"
            unfinished.write_text(json.dumps(document, indent=1) + "\n")
            unfinished.replace(self._folder / RECORD)

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"{self._folder / name}: cannot be written: {error.strerror or error}") from error


class BucketStore:
    """A prefix in S3."""

    def __init__(self, address: S3Address, to: Connection) -> None:
        self._address = address
        self._client = s3_client(to)
        self.where = address.url()

    def times(self) -> dict[str, datetime]:
        """By name below the prefix."""
        prefix, times = self._address.key(""), {}
        with calling("s3:ListBucket", self.where):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._address.bucket, Prefix=prefix):
                for item in page.get("Contents", ()):
                    times[str(item["Key"])[len(prefix) :]] = item["LastModified"]
        return times

    def put(self, name: str, blocks: Iterable[bytes]) -> Stored:
        """Through a temporary file: S3 checks the hash of what comes, and has it whole or not at all."""
        with tempfile.TemporaryFile() as file:
            stored = _write(file, blocks)
            file.seek(0)
            self._put(name, file, stored.sha256)
        return stored

    def record(self) -> dict[str, Any] | None:
        """Of fetch.json."""
        where = self._address.url(RECORD)
        try:
            with calling("s3:GetObject", where):
                answer = self._client.get_object(Bucket=self._address.bucket, Key=self._address.key(RECORD))
                return _record(answer["Body"].read(_MAX_RECORD), self.where)
        except RemoteError as error:
            if cause_code(error) in ("NoSuchKey", "404"):
                return None
            raise

    def write_record(self, document: dict[str, Any]) -> None:
        """To fetch.json."""
        data = (json.dumps(document, indent=1) + "\n").encode()
        self._put(RECORD, data, hashlib.sha256(data).hexdigest())

    def _put(self, name: str, body: bytes | BinaryIO, sha256: str) -> None:
        with calling("s3:PutObject", self._address.url(name)):
            self._client.put_object(
                Bucket=self._address.bucket, Key=self._address.key(name), Body=body, ChecksumSHA256=b64(sha256)
            )


def _write(file: BinaryIO, blocks: Iterable[bytes]) -> Stored:
    digest, size = hashlib.sha256(), 0
    for block in blocks:
        file.write(block)
        digest.update(block)
        size += len(block)
    return Stored(size, digest.hexdigest())


def _record(data: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise StorageError(f"{where}: its {RECORD} cannot be read ({error}): give another place with -o") from error
    if not isinstance(document, dict) or document.get("written_by") != WRITTEN_BY:
        raise StorageError(f"{where}: its {RECORD} is none of memir's: give another place with -o")
    return document
