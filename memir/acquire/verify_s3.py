"""The parts of `verify` that read from S3."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memir.acquire.evidence import IMAGE
from memir.acquire.records import RecordWalker
from memir.errors import CustodyError, ImageFormatError

STEP = 1 << 20
MAX_SMALL = 512 << 20


@dataclass(frozen=True, slots=True)
class Store:
    """How to reach S3."""

    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None

    def client(self) -> Any:
        """A client."""
        from memir.acquire.s3 import S3Options, make_client

        return make_client(S3Options(region=self.region, endpoint=self.endpoint, profile=self.profile))


@contextmanager
def fetched(evidence: str, store: Store) -> Iterator[Path]:
    """The evidence folder, with everything but the image brought here if it is in S3.

    Names in the bucket that would lead out of the folder raise CustodyError.
    """
    if not evidence.startswith("s3://"):
        yield Path(evidence)
        return
    from botocore.exceptions import BotoCoreError, ClientError

    from memir.acquire.s3 import S3Address, explain
    from memir.acquire.verify import inside

    address = S3Address.parse(evidence)
    client = store.client()
    with tempfile.TemporaryDirectory(prefix="memir-verify-") as name:
        folder = Path(name)
        prefix = address.key("")
        try:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=address.bucket, Prefix=prefix)
            for page in pages:
                for item in page.get("Contents", ()):
                    relative = str(item["Key"])[len(prefix) :]
                    if relative.startswith(IMAGE + ".") or item["Size"] > MAX_SMALL:
                        continue
                    path = inside(folder, relative)
                    if path is None:
                        raise CustodyError(f"{evidence} has a name that leads out of the folder: {relative!r}")
                    path.parent.mkdir(parents=True, exist_ok=True)
                    client.download_file(address.bucket, item["Key"], str(path))
        except (ClientError, BotoCoreError) as error:
            raise explain(error, "s3:ListBucket and s3:GetObject", evidence) from error
        yield folder


def read_image(where: str, record: Mapping[str, Any], client: Any, walker: RecordWalker) -> Iterator[tuple[str, str]]:
    """Read the image's recorded version once; yields (where, what) for everything that does not match."""
    from botocore.exceptions import BotoCoreError, ClientError

    from memir.acquire.s3 import S3Address, explain
    from memir.acquire.verify import parts_of

    address = S3Address.parse(where)
    stored = record.get("stored") or {}
    arguments = {"Bucket": address.bucket, "Key": address.prefix}
    version = stored.get("VersionId") or stored.get("version_id")
    if isinstance(version, str):
        arguments["VersionId"] = version
    whole, done, bad = hashlib.sha256(), 0, ""
    try:
        body = client.get_object(**arguments)["Body"]
        for part in parts_of(record):
            digest, left = hashlib.sha256(), part["size"]
            while left and (chunk := body.read(min(left, STEP))):
                digest.update(chunk)
                whole.update(chunk)
                left -= len(chunk)
                done += len(chunk)
                try:
                    if not bad:
                        walker.feed(chunk)
                except ImageFormatError as error:
                    bad = str(error)
            if left:
                yield f"part {part['number']}", f"is {left:,} bytes short"
            elif digest.hexdigest() != part["sha256"]:
                yield (
                    f"part {part['number']}",
                    f"has SHA-256 {digest.hexdigest()}, recorded is {part['sha256']}",
                )
        if body.read(1):
            yield where, f"is longer than the {done:,} bytes that are recorded"
    except (ClientError, BotoCoreError) as error:
        raise explain(error, "s3:GetObject", where) from error
    if done != record.get("size"):
        yield where, f"has {done:,} bytes, recorded are {record.get('size')!r}"
    if record.get("sha256") and whole.hexdigest() != record.get("sha256"):
        yield where, f"has SHA-256 {whole.hexdigest()}, recorded is {record.get('sha256')}"
    if bad:
        yield where, bad
