# SPDX-License-Identifier: Apache-2.0
"""Network interfaces by an address: of a Fargate pod or task, whose node no API shows."""

from __future__ import annotations

from typing import Any

from memir.aws.client import Client
from memir.aws.errors import calling

MOST = 20


def interfaces_of(ec2: Client, address: str, vpc: str = "") -> list[dict[str, Any]]:
    """The interfaces that have a private address, as AWS describes them: groups, subnet, attachment, tags. Several
    networks may have the same address; vpc: of this one alone. Raises AccessError, ConnectError, NodeError.

    Needs ec2:DescribeNetworkInterfaces, which AWS grants on `*` alone.
    """
    key = "ipv6-addresses.ipv6-address" if ":" in address else "addresses.private-ip-address"
    filters = [{"Name": key, "Values": [address]}, *([{"Name": "vpc-id", "Values": [vpc]}] if vpc else [])]
    with calling("ec2:DescribeNetworkInterfaces", f"address {address}"):
        answer = ec2.describe_network_interfaces(Filters=filters)
    return [dict(item) for item in answer["NetworkInterfaces"][:MOST]]
