# SPDX-License-Identifier: Apache-2.0
"""PUT and GET to presigned URLs of a real S3 server, with the standard library alone."""

from __future__ import annotations

import time
from typing import Any

import pytest

from memir.acquire.node.http import Connection, Pace, Refused, UploadFailed, encryption


def url(s3: Any, method: str, bucket: str, key: str) -> str:
    signed: str = s3.generate_presigned_url(method, Params={"Bucket": bucket, "Key": key})
    return signed


def test_bytes_go_up_and_come_down_on_one_connection(s3: Any, bucket: str) -> None:
    connection = Connection(10)
    data = bytes(range(256)) * 4000
    headers, _ = connection.request("PUT", url(s3, "put_object", bucket, "k"), memoryview(data))
    assert headers["etag"]
    assert connection.request("GET", url(s3, "get_object", bucket, "k"))[1] == data
    connection.close()
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data


def test_a_refusal_has_its_code_and_no_url(s3: Any, bucket: str) -> None:
    with pytest.raises(Refused, match="HTTP 404 NoSuchKey") as caught:
        Connection(10).request("GET", url(s3, "get_object", bucket, "none"))
    assert (caught.value.status, caught.value.code) == (404, "NoSuchKey")
    assert "Signature" not in str(caught.value)


def test_other_schemes_and_nobody_there() -> None:
    with pytest.raises(UploadFailed, match="grant with an unknown scheme: file"):
        Connection().request("GET", "file:///etc/passwd")
    with pytest.raises(OSError, match="refused"):
        Connection(2).request("GET", "http://127.0.0.1:9/x")


def test_the_pace_is_held() -> None:
    pace, begin = Pace(1e6), time.monotonic()
    pace.wait(200_000)
    pace.wait(200_000)
    assert 0.14 < time.monotonic() - begin < 2
    begin = time.monotonic()
    Pace(0).wait(1 << 40)
    assert time.monotonic() - begin < 0.1


def test_the_key_that_a_url_names() -> None:
    assert encryption("") == {}
    assert encryption("other") == {}
    assert encryption("kms=arn:aws-cn:kms:cn-north-1:123456789012:key/a") == {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws-cn:kms:cn-north-1:123456789012:key/a",
    }
