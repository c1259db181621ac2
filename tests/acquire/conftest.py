# SPDX-License-Identifier: Apache-2.0
"""Servers that the tests of memir.acquire run against; each is started once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acquire.rigs.nodes import avml, make_node, node, small_node, small_sshd, sshd  # noqa: F401  (fixtures)
from tests.acquire.rigs.s3shim import Shim
from tests.acquire.rigs.seaweed import ACCESS_KEY, SECRET_KEY, Seaweed
from tests.acquire.rigs.ssm import SsmServer


@pytest.fixture
def shim(seaweed: Seaweed) -> Iterator[Shim]:
    """A strict proxy before it, one a test."""
    proxy = Shim(seaweed.port)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that the loopback servers know."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture
def s3(shim: Shim, aws: None) -> Any:
    """A client through the shim."""
    from memir.aws.client import Connection, s3_client

    return s3_client(Connection(shim.region, shim.endpoint))


@pytest.fixture
def bucket(s3: Any) -> str:
    """A new bucket with Object Lock and no default retention."""
    name = f"evidence-{uuid.uuid4().hex[:12]}"
    where = {"LocationConstraint": "eu-west-1"}
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True, CreateBucketConfiguration=where)
    return name


@pytest.fixture
def ssm_server(tmp_path_factory: pytest.TempPathFactory, aws: None) -> Iterator[SsmServer]:
    """The SSM stand-in, without instances; deliveries time out ten times faster."""
    server = SsmServer(tmp_path_factory.mktemp("ssm"), scale=10.0)
    server.start()
    yield server
    server.stop()
