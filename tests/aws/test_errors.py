# SPDX-License-Identifier: Apache-2.0
"""AWS's errors as memir's own."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoRegionError, ProfileNotFound

from memir.aws.client import Connection, s3_client, service_client
from memir.aws.errors import (
    calling,
    cause_code,
    cause_status,
    code_of,
    credentials_error,
    explain,
    region_of,
    status_of,
)
from memir.errors import AccessError, ConnectError, RemoteError, StorageError


def refusal(code: str, status: int, message: str = "words") -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"x-amz-bucket-region": "eu-north-1"}},
    }
    return ClientError(answer, "GetObject")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (refusal("AccessDenied", 403), AccessError, "s3:GetObject is denied on s3://b/k"),
        (refusal("X", 403, "not authorized to perform: kms:Decrypt on y"), AccessError, "kms:Decrypt is denied"),
        (refusal("ExpiredToken", 400), AccessError, "no longer valid (ExpiredToken)"),
        (refusal("PermanentRedirect", 301), StorageError, "is in region eu-north-1: pass --region eu-north-1"),
        (refusal("NoSuchBucket", 404), StorageError, "there is no such bucket"),
        (refusal("InvalidObjectState", 403), StorageError, "is archived (words): restore it first"),
        (refusal("PreconditionFailed", 412), StorageError, "exists already and evidence is never overwritten"),
        (refusal("RequestTimeTooSkewed", 403), AccessError, "clock is off by more than 15 minutes"),
        (refusal("SlowDown", 503), StorageError, "s3:GetObject failed with SlowDown: words"),
        (EndpointConnectionError(endpoint_url="http://x"), ConnectError, "s3:GetObject did not get through"),
        (NoRegionError(), AccessError, "no AWS region is set: pass --region REGION"),
        (ProfileNotFound(profile="p"), AccessError, "name a profile of ~/.aws/config"),
    ],
)  # fmt: skip
def test_in_words(error: Exception, kind: type[RemoteError], words: str) -> None:
    said = explain(error, "s3:GetObject", "s3://b/k")
    assert type(said) is kind
    assert words in str(said)
    with pytest.raises(kind) as caught, calling("s3:GetObject", "s3://b/k"):
        raise error
    assert (cause_code(caught.value), cause_status(caught.value)) == (code_of(error), status_of(error))


def test_what_is_not_aws_s() -> None:
    assert credentials_error(ValueError("x"), "here") is None
    assert (code_of(ValueError()), status_of(ValueError())) == ("", 0)
    assert code_of(refusal("", 500)) == "500"
    assert region_of(refusal("x", 301)) == "eu-north-1"
    with pytest.raises(ValueError, match="mine"), calling("a", "b"):
        raise ValueError("mine")


def test_no_region_and_no_profile_are_said_when_the_client_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    with pytest.raises(AccessError, match="AWS ssm: no AWS region is set"):
        service_client("ssm", Connection())
    with pytest.raises(AccessError, match=r"profile .nobody.*name a profile"):
        s3_client(Connection(profile="nobody"))
    assert service_client("ssm", Connection("eu-west-1")).meta.region_name == "eu-west-1"
