# SPDX-License-Identifier: Apache-2.0
"""The S3 server that tests of memir.aws.image read from, with a proxy before it that can refuse and cut."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acquire.rigs.s3shim import Shim
from tests.acquire.rigs.seaweed import ACCESS_KEY, SECRET_KEY, Seaweed


@pytest.fixture
def shim(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shim]:
    """The proxy, one a test; the environment leads to it, as a user's would."""
    proxy = Shim(seaweed.port)
    proxy.start()
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL": proxy.endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": proxy.region,
        "AWS_DEFAULT_REGION": proxy.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    yield proxy
    proxy.stop()


@pytest.fixture
def store(shim: Shim) -> Callable[[bytes], str]:
    """Puts an object, or another over it; its address. One bucket for all: each costs the server volumes."""
    import boto3

    client: Any = boto3.Session().client("s3")
    key = f"{uuid.uuid4().hex}/image"
    if "images" not in [one["Name"] for one in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket="images", CreateBucketConfiguration={"LocationConstraint": shim.region})

    def put(data: bytes) -> str:
        client.put_object(Bucket="images", Key=key, Body=data)
        shim.seen.clear()
        return f"s3://images/{key}"

    return put
