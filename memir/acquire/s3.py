"""What both S3 sinks share: the address, the client, part sizes, errors by name, records beside the image.

The image goes up either through the controller (`s3_stream.py`) or from the node itself (`s3_direct.py`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from memir.acquire.base import Check, Step, Trace
from memir.acquire.sink import SinkMeta, Stored
from memir.errors import AccessError, ConnectError, RemoteError, StorageError, UsageError

Client = Any
"""A boto3 client: its methods are made at run time."""
MIB = 1 << 20
MIN_PART = 64 * MIB
MAX_PARTS = 10_000
MAX_OBJECT = 50_000 * 1000 * MIB
"""48.8 TiB: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where the evidence goes: a bucket and a prefix without outer slashes ("" for the bucket's root)."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> S3Address:
        """From `s3://bucket/prefix`. Raises UsageError."""
        found = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?", text, re.S)
        if not found:
            raise UsageError(f"{text!r} is not an S3 address: write s3://BUCKET/PREFIX")
        prefix = (found.group(2) or "").strip("/")
        if any(ord(c) < 32 or ord(c) == 127 for c in prefix):
            raise UsageError(f"the prefix of {text!r} holds control characters")
        return cls(found.group(1), prefix)

    def key(self, name: str) -> str:
        """Key of a file under the prefix."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def url(self, name: str = "") -> str:
        """The `s3://` address of a file under the prefix, or of the prefix."""
        return f"s3://{self.bucket}/{self.key(name) if name else self.prefix}"


@dataclass(frozen=True, slots=True)
class S3Options:
    """How to reach and use the bucket.

    endpoint: None for Amazon's own. lock_mode: GOVERNANCE or COMPLIANCE with lock_days of retention, "" for
    what the bucket does by itself. part_size: 0 chooses by RAM size. rate: bytes a second, 0 is no limit.
    url_seconds: how long a URL lives at most. resume: id of an unfinished upload to go on with. patience: how
    many seconds the node waits for a URL. attempts, backoff: of each part, and the first pause in seconds.
    """

    region: str | None = None
    endpoint: str | None = None
    profile: str | None = None
    lock_mode: str = ""
    lock_days: int = 0
    kms_key: str = ""
    part_size: int = 0
    buffers: int = 2
    rate: float = 0.0
    url_seconds: int = 3600
    resume: str = ""
    patience: float = 900.0
    attempts: int = 12
    backoff: float = 0.5


def part_size(ram_bytes: int, minimum: int = MIN_PART) -> int:
    """Part size in bytes, so that 10,000 parts hold `ram_bytes` and its record headers, in whole MiB.

    1/64 is added for headers and for an AVML stream that grew instead of shrinking.
    """
    needed = -(-(ram_bytes + ram_bytes // 64) // MAX_PARTS)
    return max(minimum, -(-needed // MIB) * MIB)


def make_client(options: S3Options, **credentials: str) -> Client:
    """An S3 client that signs with SigV4 and adds no checksum of its own."""
    import boto3
    from botocore.config import Config

    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if options.endpoint else "virtual"},
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=10,
        read_timeout=60,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session: Any = boto3.Session(profile_name=options.profile, region_name=options.region)
    return session.client("s3", endpoint_url=options.endpoint, config=config, **credentials)


def explain(error: Exception, action: str, where: str) -> RemoteError:
    """A botocore error as one of memir's own: what failed, the IAM action by name, what to do."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, TokenRetrievalError

    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        message = str(error.response.get("Error", {}).get("Message", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = headers.get("x-amz-bucket-region") or str(error.response.get("Error", {}).get("Region", ""))
        if code in (
            "ExpiredToken",
            "ExpiredTokenException",
            "RequestExpired",
            "InvalidToken",
            "InvalidAccessKeyId",
        ):
            return AccessError(f"{where}: the AWS session is no longer valid ({code}): sign in again and resume")
        if code in (
            "AuthorizationHeaderMalformed",
            "PermanentRedirect",
            "301",
            "IllegalLocationConstraintException",
        ):
            return StorageError(f"{where} is in region {region or 'unknown'}: pass --region {region or 'REGION'}")
        if code == "RequestTimeTooSkewed":
            return AccessError(f"{where}: this machine's clock is off by more than 15 minutes: set it ({message})")
        if status == 403 or code in ("AccessDenied", "AccessDeniedException", "Forbidden"):
            named = re.search(r"not authorized to perform: ([\w:*]+)", message)
            missing = named.group(1) if named else action
            return AccessError(f"{missing} is denied on {where}: allow it in the caller's policy ({code}: {message})")
        if code in ("NoSuchBucket",):
            return StorageError(f"{where}: the bucket does not exist: create it, with Object Lock, before the run")
        if code == "PreconditionFailed":
            return StorageError(f"{where} exists already and evidence is never overwritten: choose another name")
        return StorageError(f"{where}: {action} failed with {code or status}: {message}")
    if isinstance(error, (NoCredentialsError, TokenRetrievalError)):
        return AccessError(f"no AWS credentials were found ({error}): set a profile or sign in")
    if isinstance(error, BotoCoreError):
        return ConnectError(f"{where}: {action} did not get through: {error}")
    raise error


def b64(sha256: str) -> str:
    """A hex digest as S3 writes checksums."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def composite(digests: Sequence[str]) -> str:
    """S3's COMPOSITE SHA-256 of an upload: the hash of the parts' hashes, and their number."""
    whole = hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests))
    return f"{base64.b64encode(whole.digest()).decode()}-{len(digests)}"


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
            self._client = make_client(self.options)
        return self._client

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
        """Preflight of the bucket: region, Object Lock, each IAM action by name; leaves nothing behind."""
        from memir.acquire.s3_check import bucket_checks

        return bucket_checks(self.client, self.address, self.options)

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
        """Store a small file; the store checks its SHA-256 and answers with version and checksum."""
        from botocore.exceptions import BotoCoreError, ClientError

        checksum = b64(hashlib.sha256(data).hexdigest())
        where = self.address.url(name)
        try:
            answer = self.client.put_object(
                Bucket=self.address.bucket, Key=self.address.key(name), Body=data, ChecksumSHA256=checksum,
                **self.lock_arguments(), **self.key_arguments(),
            )  # fmt: skip
        except (ClientError, BotoCoreError) as error:
            raise explain(error, "s3:PutObject", where) from error
        return {"where": where, "size": len(data)} | tidy(answer)


def tidy(answer: Mapping[str, Any]) -> dict[str, object]:
    """The statements of a store's answer that belong into the record, as JSON can hold them."""
    wanted = (
        "VersionId", "ETag", "ChecksumSHA256", "ChecksumType", "ServerSideEncryption", "SSEKMSKeyId",
        "ContentLength", "LastModified", "ObjectLockMode", "ObjectLockRetainUntilDate",
        "ObjectLockLegalHoldStatus",
    )  # fmt: skip
    found: dict[str, object] = {}
    for name in wanted:
        value = answer.get(name)
        if isinstance(value, datetime):
            found[name] = value.astimezone(UTC).isoformat()
        elif value is not None:
            found[name] = value
    return found


__all__ = ["S3Address", "S3Options", "S3Sink", "Stored", "composite", "explain", "make_client", "part_size"]
