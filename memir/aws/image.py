# SPDX-License-Identifier: Apache-2.0
"""Images in S3: one version of an object, read by ranges (memir.image.remote's ObjectReader), and those below a prefix.

AWS_ENDPOINT_URL, profiles and regions are boto3's. Every range is asked for with the ETag of the first answer, so what
is read is one version of the object.
"""

from __future__ import annotations

import random
import shlex
import time
from pathlib import Path
from typing import Any

from memir.aws.address import S3Address, bucket_problem
from memir.aws.client import Client, Connection, s3_client
from memir.aws.errors import calling, code_of, credentials_error, explain
from memir.errors import ChangedImageError, ImageFormatError, MemirError, StorageError, UsageError
from memir.image import listing
from memir.image import open as opening
from memir.image.listing import looks_like_image
from memir.image.memory import PhysicalMemory
from memir.image.remote import WORKERS

ATTEMPTS = 5
FIRST_PAUSE = 0.25
"""Seconds, doubled each time."""
_AGAIN = (
    "InternalError", "RequestTimeout", "ServiceUnavailable", "SlowDown", "Throttling", "500", "502", "503", "504",
)  # fmt: skip


def open_image(
    path: str | Path, *, allow_truncated: bool = False, cache: Path | None = None,
    progress: opening.Progress | None = None, base: int | None = None, connection: Connection | None = None,
) -> PhysicalMemory:  # fmt: skip
    """memir.image.open.open_image for a path or an s3:// address. Raises also AccessError and StorageError."""
    reader = S3Object(str(path), connection or Connection()) if str(path).startswith("s3://") else None
    return opening.open_image(
        path, allow_truncated=allow_truncated, cache=cache, progress=progress, base=base, reader=reader
    )


class S3Object:
    """One version of one object."""

    def __init__(self, address: str, connection: Connection) -> None:
        self.address = address
        self._place = S3Address.of_object(address)
        self._etag, self._size = "", 0
        # one attempt: botocore's own retries end where the body begins, fetch()'s cover that too
        self._client: Client = s3_client(connection, retries=1, connections=WORKERS + 2)

    @property
    def version(self) -> str:
        """The ETag."""
        return self._etag

    @property
    def size(self) -> int:
        """Bytes, 0 before the first range was read."""
        return self._size

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def fetch(self, offset: int, size: int) -> bytes:
        """A range, asked for again while the connection or the service fails.

        AccessError for credentials or permissions, StorageError for what is not there or a connection that stays lost,
        ChangedImageError if the object is replaced meanwhile.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        pause = FIRST_PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._once(offset, size)
            except (ClientError, BotoCoreError, OSError) as error:
                if attempt == ATTEMPTS or not _worth_again(error):
                    raise read_error(error, self.address, opened=bool(self._etag)) from error
            time.sleep(pause * random.uniform(0.75, 1.25))
            pause *= 2
        raise AssertionError("unreachable")

    def _once(self, offset: int, size: int) -> bytes:
        matching: dict[str, Any] = {"IfMatch": self._etag} if self._etag else {}
        answer = self._client.get_object(
            Bucket=self._place.bucket, Key=self._place.prefix, Range=f"bytes={offset}-{offset + size - 1}", **matching
        )
        with answer["Body"] as body:
            data: bytes = body.read()
        whole = int(str(answer["ContentRange"]).rpartition("/")[2])
        if len(data) != min(size, whole - offset):
            raise ConnectionError(f"{len(data)} of {min(size, whole - offset)} bytes came")
        self._etag, self._size = str(answer["ETag"]), whole
        return data


def _worth_again(error: Exception) -> bool:
    from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError

    if isinstance(error, ClientError):
        return code_of(error) in _AGAIN
    return isinstance(error, (ConnectionError, HTTPClientError, IncompleteReadError, OSError))


def read_error(error: Exception, address: str, *, opened: bool) -> MemirError:
    """Why a range could not be read. opened: the object was there before."""
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):
        return credentials_error(error, address) or StorageError(
            f"{address}: the connection failed {ATTEMPTS} times: {error}"
        )
    code = code_of(error)
    if code in ("412", "PreconditionFailed") or (opened and code in ("404", "NoSuchKey", "416", "InvalidRange")):
        return ChangedImageError(f"{address} was replaced or deleted while it was read: begin again")
    if code in ("416", "InvalidRange"):
        return ImageFormatError(f"{address} is empty")
    wrong = explain(error, "s3:GetObject", address)
    if code == "NoSuchKey" and not looks_like_image(address):
        return StorageError(
            f"{wrong}: an image is named by its object, and what `memir collect pod` stored is brought here first: "
            f"`aws s3 cp --recursive {shlex.quote(address)} DIR`"
        )
    return wrong


def images_below(address: str) -> list[str]:
    """Addresses of the images below s3://bucket/prefix, sorted; the object itself if the address is one's.

    AccessError or StorageError if the bucket cannot be listed.
    """
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    if wrong := bucket_problem(bucket):
        raise UsageError(f"{address}: {wrong}: write s3://BUCKET/PREFIX")
    if looks_like_image(prefix):
        return [address]
    client = s3_client(Connection())
    keys: list[str] = []
    with calling("s3:ListBucket", address):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            keys += [
                str(item["Key"]) for item in page.get("Contents", [])
                if int(item.get("Size", 0)) >= listing.SMALLEST and looks_like_image(str(item["Key"]))
            ]  # fmt: skip
    return sorted(f"s3://{bucket}/{key}" for key in keys)


def expand(targets: list[str]) -> list[str]:
    """memir.image.listing.expand, with S3 prefixes."""
    return listing.expand(targets, images_below)
