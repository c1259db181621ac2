# SPDX-License-Identifier: Apache-2.0
"""Instances by tag, and the memory of an instance's type."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from memir.acquire.transports.ssm.command import Commander
from memir.acquire.transports.ssm.transport import SsmTransport
from memir.aws.client import Connection, service_client
from memir.aws.instances import instance_memory, instances_by_tag
from memir.errors import RemoteError, UsageError


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A stand-in for EC2 that knows the real instance types."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    yield Connection("us-east-1", f"http://{host}:{port}")
    server.stop()


def test_the_memory_of_a_type(way: Connection) -> None:
    ec2 = service_client("ec2", way)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="m5.large")["Instances"][0]
    assert instance_memory(ec2, made["InstanceId"]) == ("m5.large", 8 << 30)
    transport = SsmTransport(Commander(ec2, made["InstanceId"]), ec2=ec2)
    assert [check.detail for check in transport._memory()] == ["m5.large, 8,589,934,592 bytes of memory"]
    assert transport.identity()["instance_memory"] == str(8 << 30)
    with pytest.raises(RemoteError, match="ec2:DescribeInstances"):
        instance_memory(ec2, "i-0123456789abcdef0")
    unknown = SsmTransport(Commander(ec2, "i-0123456789abcdef0"), ec2=ec2)
    assert [check.level for check in unknown._memory()] == ["warn"]


def test_tags_are_pairs(way: Connection) -> None:
    with pytest.raises(UsageError, match="write KEY=VALUE"):
        instances_by_tag(service_client("ssm", way), "case")
