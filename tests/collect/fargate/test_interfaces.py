# SPDX-License-Identifier: Apache-2.0
"""Network interfaces by address, as they are asked of EC2."""

from __future__ import annotations

import pytest
from botocore.stub import Stubber

from memir.aws.client import Connection, service_client
from memir.collect.fargate.interfaces import MOST, interfaces_of
from memir.errors import RemoteError


def test_by_address_and_network() -> None:
    ec2 = service_client("ec2", Connection("eu-west-1", "http://127.0.0.1:9"))
    asked = {"Filters": [{"Name": "ipv6-addresses.ipv6-address", "Values": ["2001:db8::9"]}]}
    older = {"Filters": [{"Name": "addresses.private-ip-address", "Values": ["10.0.0.9"]},
                         {"Name": "vpc-id", "Values": ["vpc-1"]}]}  # fmt: skip
    with Stubber(ec2) as stub:
        newer = [{"NetworkInterfaceId": "eni-6"}]
        stub.add_response("describe_network_interfaces", {"NetworkInterfaces": newer}, asked)
        assert interfaces_of(ec2, "2001:db8::9") == newer
        many = [{"NetworkInterfaceId": f"eni-{number}"} for number in range(MOST + 1)]
        stub.add_response("describe_network_interfaces", {"NetworkInterfaces": many}, older)
        assert interfaces_of(ec2, "10.0.0.9", "vpc-1") == many[:MOST]


def test_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    ec2 = service_client("ec2", Connection("eu-west-1", "http://127.0.0.1:9"), attempts=1)
    with pytest.raises(RemoteError, match="ec2:DescribeNetworkInterfaces"):
        interfaces_of(ec2, "10.0.0.9")
