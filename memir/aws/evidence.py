# SPDX-License-Identifier: Apache-2.0
"""Evidence in S3: its small files brought here, its image read part by part (memir.evidence's PartReader)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memir.aws.address import S3Address
from memir.aws.client import Client, Connection, s3_client
from memir.aws.errors import calling
from memir.errors import CustodyError, RemoteError
from memir.evidence.collected import FOLDERS
from memir.evidence.folder import IMAGE, inside
from memir.evidence.parts import Body

MAX_SMALL = 512 << 20
"""Bytes of a file beside the image; larger ones are not memir's."""
MAX_FILES = 10_000
"""Files beside the image: a run makes some hundred."""


class S3PartReader:
    """Reads images with one client."""

    def __init__(
        self, client: Client | None = None, connection: Connection | None = None, *, within: str | None = None
    ) -> None:
        """within: read nothing but what lies below this s3:// address: a folder may name anyone's bucket."""
        self._within = within
        self._client = client
        self._connection = connection or Connection()

    @property
    def client(self) -> Client:
        """The client, made when first needed."""
        if self._client is None:
            self._client = s3_client(self._connection)
        return self._client

    @contextmanager
    def open(self, where: str, version: str) -> Iterator[Body]:
        """The image's bytes."""
        with calling("s3:GetObject", where):
            yield self.client.get_object(**self._request(where, version))["Body"]

    def facts(self, where: str, version: str) -> Mapping[str, Any]:
        """When it was stored, and until when it is locked; {} where that may not be asked."""
        try:
            with calling("s3:GetObject", where):
                answer = self.client.head_object(**self._request(where, version))
        except RemoteError:
            return {}
        names = ("LastModified", "ObjectLockMode", "ObjectLockRetainUntilDate")
        return {
            name: value.isoformat() if hasattr(value, "isoformat") else value
            for name in names if (value := answer.get(name)) is not None
        }  # fmt: skip

    def names(self, where: str) -> Iterator[str]:
        """Names of the objects below an address."""
        self._allow(where + "/")
        address = S3Address.parse(where)
        prefix = address.key("")
        with calling("s3:ListBucket", where):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=address.bucket, Prefix=prefix):
                for item in page.get("Contents", ()):
                    yield str(item["Key"])[len(prefix) :]

    def _allow(self, where: str) -> None:
        if self._within is not None and not where.startswith(self._within.rstrip("/") + "/"):
            raise CustodyError(f"the evidence is at {where}, outside of {self._within}: to read it there, pass --fetch")

    def _request(self, where: str, version: str) -> dict[str, str]:
        self._allow(where)
        address = S3Address.of_object(where)
        which = {"VersionId": version} if version else {}
        return {"Bucket": address.bucket, "Key": address.prefix, **which}


@contextmanager
def fetched(evidence: str, connection: Connection) -> Iterator[Path]:
    """The evidence folder, with everything but the image, or a collection's files, brought here if it is in S3.

    Names in the bucket that would lead out of the folder, and more than MAX_FILES, raise CustodyError.
    """
    if not evidence.startswith("s3://"):
        yield Path(evidence)
        return
    address = S3Address.parse(evidence)
    client = s3_client(connection)
    with tempfile.TemporaryDirectory(prefix="memir-verify-") as name:
        with calling("s3:ListBucket and s3:GetObject", evidence):
            _fetch(client, address, Path(name), evidence)
        yield Path(name)


def _fetch(client: Client, address: S3Address, folder: Path, evidence: str) -> None:
    prefix, count = address.key(""), 0
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=address.bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            relative = str(item["Key"])[len(prefix) :]
            if relative.startswith((IMAGE + ".", *FOLDERS)) or item["Size"] > MAX_SMALL:
                # an image, and what was collected of a pod, are read where they are
                continue
            path, count = inside(folder, relative), count + 1
            if path is None:
                raise CustodyError(f"{evidence} has a name that leads out of the folder: {relative!r}")
            if count > MAX_FILES:
                raise CustodyError(f"{evidence} has more than {MAX_FILES:,} files: this is no evidence of one run")
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(address.bucket, item["Key"], str(path))
