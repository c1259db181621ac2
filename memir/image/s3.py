"""Images in S3, read by ranges: what is not touched is not fetched, and no copy of the object is made first."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

from memir.errors import (
    AccessError,
    ChangedImageError,
    ImageFormatError,
    MemirError,
    StorageError,
    UsageError,
)
from memir.image.lazy import LazyBacking
from memir.image.source import LazyFile

Client = Any  # boto3 makes its classes at run time

CHUNK = 8 << 20
"""Bytes of one request, as S3 advises. Half of it took 1.6 times as long on the test server."""

WORKERS = 8
"""Requests at a time. One connection to S3 gives some 85 MB/s."""

_ATTEMPTS = 5
_FIRST_PAUSE = 0.25  # seconds, doubled each time
_EXPIRED = ("ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestExpired", "TokenRefreshRequired")
_ELSEWHERE = (
    "301",
    "400",
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "IllegalLocationConstraintException",
)
_AGAIN = (
    "InternalError",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "500",
    "502",
    "503",
    "504",
)


def open_object(address: str, cache: Path | None) -> LazyFile:
    """An object s3://bucket/key as a file; AWS_ENDPOINT_URL, profiles and regions are boto3's.

    cache: folder for the scratch file that holds what was fetched. Every range is asked for with the ETag of the
    first answer, so what is read is one version of the object: ChangedImageError if it is replaced meanwhile.

    AccessError for credentials or permissions, StorageError for what is not there or a connection that stays lost.
    """
    bucket, key = _parse(address)
    client = _client(address)
    try:
        one = _Object(client, address, bucket, key)
        first = one.begin()
        backing = LazyBacking.even(
            one.size,
            CHUNK,
            lambda which: first if which == 0 else one.fetch(which),
            cache,
            workers=WORKERS,
            ahead=WORKERS,
        )
    except BaseException:
        client.close()
        raise
    return S3File(address, backing, one)


class S3File(LazyFile):
    """A source whose bytes come from S3."""

    def __init__(self, address: str, backing: LazyBacking, behind: _Object) -> None:
        super().__init__(address, backing, None, f"{address}|{behind.etag}|{behind.size}")
        self._object = behind

    def close(self) -> None:
        """Stop fetching."""
        super().close()
        self._object.client.close()


class _Object:
    """One version of one object."""

    def __init__(self, client: Client, address: str, bucket: str, key: str) -> None:
        self.client, self.address, self.bucket, self.key = client, address, bucket, key
        self.etag, self.size = "", 0

    def begin(self) -> bytes:
        """Read the first range, which also says how large the object is and which version."""
        answer, data = self._get(0, CHUNK)
        self.etag = str(answer["ETag"])
        self.size = int(str(answer["ContentRange"]).rpartition("/")[2])
        if len(data) != min(CHUNK, self.size):
            raise StorageError(f"{self.address}: {len(data)} bytes came of the {min(CHUNK, self.size)} asked for")
        return data

    def fetch(self, which: int) -> bytes:
        """The bytes of one chunk."""
        low = which * CHUNK
        return self._get(low, min(CHUNK, self.size - low))[1]

    def _get(self, low: int, size: int) -> tuple[Any, bytes]:
        """(answer, bytes) of a range, tried again while the connection or the service fails."""
        from botocore.exceptions import BotoCoreError, ClientError

        pause = _FIRST_PAUSE
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._once(low, size)
            except (ClientError, BotoCoreError, OSError) as error:
                if attempt == _ATTEMPTS or not _worth_again(error):
                    raise explain(error, self.address, bool(self.etag)) from error
            time.sleep(pause * random.uniform(0.75, 1.25))
            pause *= 2
        raise AssertionError("unreachable")

    def _once(self, low: int, size: int) -> tuple[Any, bytes]:
        matching: dict[str, Any] = {"IfMatch": self.etag} if self.etag else {}
        where = f"bytes={low}-{low + size - 1}"
        answer = self.client.get_object(Bucket=self.bucket, Key=self.key, Range=where, **matching)
        with answer["Body"] as body:
            data = body.read()
        if self.etag and len(data) != size:
            raise ConnectionError(f"{len(data)} of {size} bytes came")
        return answer, data


def _parse(address: str) -> tuple[str, str]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if not bucket or not key or key.endswith("/"):
        raise UsageError(f"{address}: give an object as s3://BUCKET/KEY")
    return bucket, key


def _client(address: str) -> Client:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    # one attempt: botocore's own retries end where the body begins, _get()'s cover that too
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=WORKERS + 2,
        response_checksum_validation="when_required",  # a range has none
    )
    try:
        # a session of its own: boto3's default one remembers the credentials of the first call
        return boto3.Session().client("s3", config=config)
    except (BotoCoreError, ValueError) as error:
        raise explain(error, address, False) from error


def _worth_again(error: Exception) -> bool:
    from botocore.exceptions import (
        ClientError,
        ConnectionError,
        HTTPClientError,
        IncompleteReadError,
    )

    if isinstance(error, ClientError):
        return _code(error) in _AGAIN
    return isinstance(error, (ConnectionError, HTTPClientError, IncompleteReadError, OSError))


def _code(error: Exception) -> str:
    response: dict[str, Any] = getattr(error, "response", {})
    code = str(response.get("Error", {}).get("Code", ""))
    return code or str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))


def explain(error: Exception, address: str, opened: bool) -> MemirError:
    """What botocore met, as one of memir's errors. opened: the object was there before."""
    from botocore.exceptions import (
        ClientError,
        CredentialRetrievalError,
        NoCredentialsError,
        PartialCredentialsError,
        ProfileNotFound,
        SSOError,
        TokenRetrievalError,
    )

    no_credentials = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
    if isinstance(error, (*no_credentials, ProfileNotFound, SSOError, TokenRetrievalError)):
        return AccessError(f"{address}: no AWS credentials ({error}): sign in, or set AWS_PROFILE")
    if not isinstance(error, ClientError):
        return StorageError(f"{address}: the connection failed {_ATTEMPTS} times: {error}")
    code = _code(error)
    message = str(error.response.get("Error", {}).get("Message", ""))
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region") or str(error.response.get("Error", {}).get("Region", ""))
    if code in ("412", "PreconditionFailed") or (opened and code in ("404", "NoSuchKey", "416", "InvalidRange")):
        return ChangedImageError(f"{address} was replaced or deleted while it was read: begin again")
    if code in ("416", "InvalidRange"):
        return ImageFormatError(f"{address} is empty")
    if code == "NoSuchBucket":
        return StorageError(f"{address}: there is no such bucket")
    if code in ("404", "NoSuchKey"):
        return StorageError(f"{address}: there is no such object in the bucket")
    if code == "InvalidObjectState":
        return StorageError(f"{address} is archived ({message}): restore it first")
    if code in _EXPIRED:
        return AccessError(f"{address}: the AWS session is no longer valid ({code}): sign in again")
    if code in _ELSEWHERE:
        return StorageError(
            f"{address}: the bucket is in another region ({region or message or code}): set AWS_REGION to it"
        )
    if code in ("403", "AccessDenied", "SignatureDoesNotMatch", "AllAccessDisabled", "RequestTimeTooSkewed"):
        return AccessError(f"{address}: access denied ({code}: {message}): s3:GetObject must be allowed")
    return StorageError(f"{address}: S3 answered {code}: {message}")
