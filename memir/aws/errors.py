# SPDX-License-Identifier: Apache-2.0
"""AWS's errors as memir's own: `with calling("s3:GetObject", "s3://b/k"): client.get_object(...)`.

Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and each service's API reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from memir.errors import AccessError, ConnectError, MemirError, RemoteError, StorageError

EXPIRED = (
    "ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidToken", "InvalidAccessKeyId",
    "TokenRefreshRequired",
)  # fmt: skip
ELSEWHERE = ("301", "AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException")
DENIED = ("AccessDenied", "AccessDeniedException", "Forbidden", "AllAccessDisabled", "SignatureDoesNotMatch")
ABSENT = ("NoSuchKey", "NotFound", "404")


@contextmanager
def calling(action: str, where: str) -> Iterator[None]:
    """What botocore raises in the block is raised as RemoteError's own kind.

    action: the IAM action, by name (`s3:GetObject`). where: the resource, for the message.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise explain(error, action, where) from error
    except RuntimeError as error:
        # botocore.credentials: those of the environment (AWS_CREDENTIAL_EXPIRATION) cannot be renewed
        if "still expired" not in str(error):
            raise
        raise AccessError(
            f"{where}: the AWS credentials have ended (AWS_CREDENTIAL_EXPIRATION): sign in again, or give --profile"
            " NAME of a role or an SSO session, whose credentials are renewed"
        ) from error


def code_of(error: Exception) -> str:
    """The service's error code, else its HTTP status as text; "" for an error of another kind."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", ""))
    return code or str(response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))


def status_of(error: Exception) -> int:
    """The HTTP status of a service's refusal, 0 if there was none."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def cause_code(error: MemirError) -> str:
    """The service's code behind an error that `calling` raised."""
    return code_of(error.__cause__) if isinstance(error.__cause__, Exception) else ""


def cause_status(error: MemirError) -> int:
    """The HTTP status behind an error that `calling` raised."""
    return status_of(error.__cause__) if isinstance(error.__cause__, Exception) else 0


def explain(error: Exception, action: str, where: str) -> RemoteError:
    """A botocore error as one of memir's own: what failed, the IAM action by name, what to do."""
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        return _refused(error, action, where)
    if isinstance(error, BotoCoreError):
        return credentials_error(error, where) or ConnectError(f"{where}: {action} did not get through: {error}")
    raise error


def credentials_error(error: Exception, where: str) -> RemoteError | None:
    """AccessError for missing credentials, an unknown profile or a missing region; None for other errors."""
    from botocore.exceptions import (
        CredentialRetrievalError,
        NoCredentialsError,
        NoRegionError,
        PartialCredentialsError,
        ProfileNotFound,
        SSOError,
        TokenRetrievalError,
    )

    if isinstance(error, ProfileNotFound):
        return AccessError(f"{where}: {error}: name a profile of ~/.aws/config with --profile or AWS_PROFILE")
    if isinstance(error, NoRegionError):
        return AccessError(f"{where}: no AWS region is set: pass --region REGION, or set AWS_REGION")
    absent = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, SSOError, TokenRetrievalError)
    if isinstance(error, absent):
        return AccessError(f"{where}: no AWS credentials ({error}): sign in, or set AWS_PROFILE")
    return None


def _refused(error: Any, action: str, where: str) -> RemoteError:
    """Every refusal of a service."""
    code, status = code_of(error), status_of(error)
    message = str(error.response.get("Error", {}).get("Message", ""))
    if code in EXPIRED:
        return AccessError(f"{where}: the AWS session is no longer valid ({code}): sign in again")
    if code in ELSEWHERE or status == 301:
        region = region_of(error)
        return StorageError(f"{where} is in region {region or 'unknown'}: pass --region {region or 'REGION'}")
    if code == "RequestTimeTooSkewed":
        return AccessError(f"{where}: this machine's clock is off by more than 15 minutes: set it ({message})")
    texts = {
        "NoSuchBucket": f"{where}: there is no such bucket: create it, with Object Lock, before the run",
        "PreconditionFailed": f"{where} exists already and evidence is never overwritten: choose another name",
        "NoSuchKey": f"{where}: there is no such object in the bucket",
        "NoSuchVersion": f"{where}: there is no such version of the object in the bucket",
        "InvalidObjectState": f"{where} is archived ({message}): restore it first",
    }
    if code in texts:
        return StorageError(texts[code])
    # after the codes that have words of their own: InvalidObjectState is a 403 as well
    if status == 403 or code in DENIED:
        named = re.search(r"not authorized to perform: ([\w:*]+)", message)
        missing = named.group(1) if named else action
        return AccessError(f"{missing} is denied on {where}: allow it in the caller's policy ({code}: {message})")
    return StorageError(f"{where}: {action} failed with {code or status}: {message}")


def region_of(error: Any) -> str:
    """The region that a refusal names, "" if none."""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str(headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region", ""))
