# SPDX-License-Identifier: Apache-2.0
"""What both S3 sinks share: the address, the client, part sizes, errors by name, records beside the image.

The image goes up either through the controller (`s3_stream.py`) or from the node itself (`s3_direct.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from memir.acquire.sinks.base import SinkMeta
from memir.acquire.sinks.s3.options import S3Options
from memir.aws.address import S3Address
from memir.aws.checksum import b64
from memir.aws.client import Client, s3_client
from memir.aws.errors import calling
from memir.aws.evidence import S3PartReader
from memir.errors import StorageError
from memir.evidence.plan import Check, Step, Trace
from memir.evidence.records import Scalar

MIB = 1 << 20
MIN_PART = 64 * MIB
MAX_PARTS = 10_000
USUAL = 50 * MIB
"""Bytes a second that a node gives on its way to S3 where nothing limits it: a modest network."""
MAX_OBJECT = 50_000 * 1000 * MIB
"""48.8 TiB: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""








def part_size(ram_bytes: int, minimum: int = MIN_PART) -> int:
    """Part size in bytes, so that 10,000 parts hold `ram_bytes` and its record headers, in whole MiB.

    1/64 is added for headers and for an AVML stream that grew instead of shrinking.
    """
    needed = -(-(ram_bytes + ram_bytes // 64) // MAX_PARTS)
    return max(minimum, -(-needed // MIB) * MIB)










class S3Sink:
    """Base of both sinks."""

    kind = "s3"

    def __init__(self, address: S3Address, options: S3Options, client: Client | None = None) -> None:
        self.address, self.options = address, options
        self.where = address.url()
        self._client = client
        self._meta: SinkMeta | None = None

    @property
    def client(self) -> Client:
        """The S3 client, made when first needed."""
        if self._client is None:
            self._client = s3_client(replace(self.options.connection, kms_key=self.options.kms_key))
        return self._client

    @property
    def reader(self) -> S3PartReader:
        """Reads the image back."""
        return S3PartReader(self.client)

    @property
    def expected(self) -> int:
        """Bytes to expect at most: the System RAM."""
        return self._meta.ram_bytes if self._meta else 0

    @property
    def image_name(self) -> str:
        """File name of the image under the prefix."""
        if self._meta is None:
            raise StorageError(f"{self.where}: nothing was begun")
        return self._meta.name

    def check(self) -> Sequence[Check]:
        """NodeState of the bucket: region, Object Lock, each IAM action by name; leaves nothing behind."""
        from memir.acquire.sinks.s3.check import bucket_checks

        return bucket_checks(self.client, self.address, self.options)

    def check_span(self, ram_bytes: int, rate: int) -> Check:
        """Whether the credentials outlast the run. rate: bytes a second, 0 where nothing limits it."""
        from memir.aws.session_end import credentials_check

        return credentials_check(self.client, ram_bytes / (rate or USUAL))

    def steps(self) -> Sequence[Step]:
        """What storing does."""
        lock = (
            f" with {self.options.lock_mode} lock for {self.options.lock_days} days" if self.options.lock_mode else ""
        )
        return (
            Step(f"create an upload under {self.where}{lock}", "aws", "s3:CreateMultipartUpload", changes=True),
            Step("store parts with URLs signed for each part's SHA-256", "node", "s3:UploadPart", changes=True),
            Step(
                "complete the upload, unless the name exists",
                "aws",
                "s3:CompleteMultipartUpload",
                changes=True,
            ),
            Step("compare the store's SHA-256, size and lock with the node's", "aws", "s3:HeadObject"),
        )

    def traces(self) -> Sequence[Trace]:
        """What storing leaves."""
        return (
            Trace(
                "CloudTrail (S3 data events, if on)",
                f"CreateMultipartUpload, UploadPart, ... on {self.where}",
            ),
            Trace(self.where, "an unfinished multipart upload if the run is interrupted", stays=False),
            Trace("VPC flow logs", "the node's connections to S3"),
        )

    def lock_arguments(self) -> dict[str, Any]:
        """Object Lock arguments of a request that makes an object."""
        if not self.options.lock_mode:
            return {}
        until = datetime.now(UTC) + timedelta(days=self.options.lock_days)
        return {
            "ObjectLockMode": self.options.lock_mode,
            "ObjectLockRetainUntilDate": until.replace(microsecond=0),
        }

    def key_arguments(self) -> dict[str, Any]:
        """Encryption arguments of a request that makes an object."""
        if not self.options.kms_key:
            return {}
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.options.kms_key}

    def record(self, name: str, data: bytes) -> Mapping[str, object]:
        """Store a small file; the store checks its SHA-256 and answers with version and checksum.

        A name that exists is refused by the store itself, but for a run that is gone on with.
        """
        checksum = b64(hashlib.sha256(data).hexdigest())
        where = self.address.url(name)
        with calling("s3:PutObject", where):
            answer = self.client.put_object(
                Bucket=self.address.bucket, Key=self.address.key(name), Body=data, ChecksumSHA256=checksum,
                **({} if self.options.resume else {"IfNoneMatch": "*"}),
                **self.lock_arguments(), **self.key_arguments(),
            )  # fmt: skip
        return {"where": where, "size": len(data)} | tidy(answer)


def tidy(answer: Mapping[str, Any]) -> dict[str, Scalar]:
    """The statements of a store's answer that belong into the record, as JSON can hold them."""
    wanted = (
        "VersionId", "ETag", "ChecksumSHA256", "ChecksumType", "ServerSideEncryption", "SSEKMSKeyId",
        "ContentLength", "LastModified", "ObjectLockMode", "ObjectLockRetainUntilDate",
        "ObjectLockLegalHoldStatus",
    )  # fmt: skip
    kept: dict[str, Scalar] = {}
    for name in wanted:
        value = answer.get(name)
        if isinstance(value, datetime):
            kept[name] = value.astimezone(UTC).isoformat()
        elif value is not None:
            kept[name] = value if isinstance(value, int | float | bool) else str(value)
    return kept

