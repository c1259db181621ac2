# SPDX-License-Identifier: Apache-2.0
"""What is asked for: the cluster, the node, and lines as they are packed."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import boto3
import pytest

from memir.aws.client import Connection
from memir.aws.fetch.scope import Scope, json_lines, packed
from memir.aws.fetch.window import Window
from memir.errors import UsageError
from tests.aws.fetch.account import BEGIN, CLUSTER, END, REGION, Account


def scope(node: str = "", cluster: str = CLUSTER) -> Scope:
    return Scope(cluster, Window(BEGIN, END), Connection(), node)


def test_the_cluster(account: Account) -> None:
    asked = scope()
    assert (asked.region, asked.account) == (REGION, "123456789012")
    assert asked.facts["name"] == CLUSTER and asked.vpc == asked.facts["resourcesVpcConfig"].get("vpcId", "")
    assert (asked.instance, asked.interfaces) == ({}, [])
    with pytest.raises(UsageError, match="there is no cluster 'other' in region eu-west-1"):
        _ = scope(cluster="other").facts


def test_the_node(account: Account) -> None:
    ec2 = boto3.Session().client("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]
    found = scope(made["InstanceId"])
    assert found.instance["InstanceId"] == made["InstanceId"]
    assert found.interfaces == [made["NetworkInterfaces"][0]["NetworkInterfaceId"]]
    named = scope(f"{made['InstanceId']}.eu-west-1.compute.internal")
    assert named.instance["InstanceId"] == made["InstanceId"]
    by_address = scope(made["PrivateDnsName"])
    assert by_address.instance["InstanceId"] == made["InstanceId"]
    with pytest.raises(UsageError, match="0 instances have this name"):
        _ = scope("ip-10-9-9-9.eu-west-1.compute.internal").instance
    with pytest.raises(UsageError, match="--node i-0123456789abcdef0: "):
        _ = scope("i-0123456789abcdef0").instance


def test_lines() -> None:
    blocks = list(json_lines([{"time": datetime(2026, 11, 23, tzinfo=UTC), "text": "\ud800"}] * 3))
    lines = gzip.decompress(b"".join(blocks)).splitlines()
    assert [json.loads(line)["time"] for line in lines] == ["2026-11-23T00:00:00+00:00"] * 3
    assert b"".join(json_lines([1])) == b"".join(json_lines([1]))
    noise = [f"{number * 2654435761:x}" for number in range(400_000)]
    several = list(packed(noise))
    assert len(several) > 1 and gzip.decompress(b"".join(several)).decode().split() == noise
