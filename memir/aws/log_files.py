# SPDX-License-Identifier: Apache-2.0
"""Logs in S3, copied here for the time that they are read: what `--logs s3://BUCKET/PREFIX` names."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from memir.aws.address import S3Address
from memir.aws.client import Client, Connection, s3_client
from memir.aws.errors import calling
from memir.errors import LogsError, StorageError

MAX_FILES = 100_000
MAX_BYTES = 64 << 30
"""Of all the objects together; what more there is, is copied and given as a folder."""
_WORKERS = 8
_RECORD = b'{\n "written_by": "memir fetch-logs"'


@dataclass(frozen=True, slots=True)
class Copy:
    """address: of the object, by which rows name it. path: where its bytes lie now."""

    address: str
    path: Path


@contextmanager
def copied(addresses: Sequence[str], to: Connection | None = None) -> Iterator[list[Copy]]:
    """Every object below s3:// addresses, in a temporary folder (TMPDIR) that goes when the block ends.

    An address may also be that of one object. Asked with the caller's own credentials, and of nobody's bucket but the
    one of --bucket-owner where that is given. LogsError where nothing lies there, or more than MAX_FILES or MAX_BYTES;
    StorageError where the disk is too small; AccessError.
    """
    client = s3_client(to or Connection(), connections=_WORKERS)
    objects = [each for address in addresses for each in _listed(client, address)]
    total = sum(size for _, _, size in objects)
    with tempfile.TemporaryDirectory(prefix="memir-logs-") as name:
        free = shutil.disk_usage(name).free
        if total > free:
            raise StorageError(
                f"{', '.join(addresses)}: {total:,} bytes, and {free:,} are free below {Path(name).parent}: name a "
                "larger disk with TMPDIR"
            )
        copies = [Copy(f"s3://{bucket}/{key}", Path(name) / f"{number:06d}")
                  for number, (bucket, key, _) in enumerate(objects)]  # fmt: skip
        with ThreadPoolExecutor(_WORKERS) as pool:
            list(pool.map(lambda each: _copy(client, each), copies))
        yield [each for each in copies if not _is_record(each)]


def _listed(client: Client, address: str) -> list[tuple[str, str, int]]:
    """(bucket, key, bytes) of the objects below an address; empty ones, as folders have them, are left out."""
    place = S3Address.parse(address)
    objects: list[tuple[str, str, int]] = []
    total = 0
    with calling("s3:ListBucket", address):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.prefix):
            for item in page.get("Contents", ()):
                key, size = str(item["Key"]), int(item["Size"])
                # `logs` is the folder logs/ or the object logs, never the folder logs-of-others/
                if place.prefix and key != place.prefix and not key.startswith(place.key("")):
                    continue
                if size:
                    objects.append((place.bucket, key, size))
                    total += size
                if len(objects) > MAX_FILES or total > MAX_BYTES:
                    raise LogsError(
                        f"{address}: more than {MAX_FILES:,} files or {MAX_BYTES >> 30} GiB: name a longer prefix, or "
                        "copy them and give the folder"
                    )
    if not objects:
        raise LogsError(f"{address}: no object lies there: give the prefix that the logs were written to")
    return objects


def _copy(client: Client, each: Copy) -> None:
    place = S3Address.of_object(each.address)
    with calling("s3:GetObject", each.address):
        client.download_file(place.bucket, place.prefix, str(each.path))


def _is_record(each: Copy) -> bool:
    """Whether it is what `memir fetch-logs` writes of itself beside the logs."""
    if not each.address.endswith("/fetch.json"):
        return False
    with each.path.open("rb") as file:
        return file.read(len(_RECORD)) == _RECORD
