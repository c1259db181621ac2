# SPDX-License-Identifier: Apache-2.0
"""VPC flow logs from S3 and from CloudWatch Logs."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest

from memir.aws.fetch import flowlogs
from memir.aws.fetch.flowlogs import SOURCE
from memir.aws.fetch.scope import Scope
from memir.errors import StorageError
from tests.aws.fetch.account import BEGIN, FORMAT, REGION, Account, flow_line
from tests.aws.fetch.test_scope import scope
from tests.logs.made import V5

BUCKET = "flows"


@pytest.fixture
def network(account: Account) -> Iterator[tuple[Account, Any, str]]:
    """(account, EC2, the subnet of the cluster), without flow logs after the test."""
    ec2 = boto3.Session().client("ec2")
    subnet = scope().facts["resourcesVpcConfig"]["subnetIds"][0]
    yield account, ec2, subnet
    if made := [each["FlowLogId"] for each in ec2.describe_flow_logs()["FlowLogs"]]:
        ec2.delete_flow_logs(FlowLogIds=made)


def _texts(asked: Scope) -> dict[str, list[str]]:
    return {piece.name: gzip.decompress(b"".join(piece.blocks())).decode().splitlines()
            for piece in SOURCE.pieces(asked)}  # fmt: skip


def _made(ec2: Any, subnet: str, **where: Any) -> str:
    answer = ec2.create_flow_logs(
        ResourceIds=[subnet], ResourceType="Subnet", TrafficType="ALL", LogFormat=FORMAT, **where
    )
    return str(answer["FlowLogIds"][0])


def test_none(network: tuple[Account, Any, str]) -> None:
    asked = scope()
    assert _texts(asked) == {}
    assert asked.unread[0].why.endswith("has no flow log, and none of its subnets and interfaces")


def test_in_s3(network: tuple[Account, Any, str]) -> None:
    _, ec2, subnet = network
    s3 = boto3.Session().client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    ident = _made(ec2, subnet, LogDestinationType="s3", LogDestination=f"arn:aws:s3:::{BUCKET}")
    home = f"AWSLogs/123456789012/vpcflowlogs/{REGION}/{BEGIN:%Y/%m/%d}"
    names = [f"123456789012_vpcflowlogs_{REGION}_{log}_{time:%Y%m%dT%H%M}Z_1a2b3c4d.log.gz"
             for log, time in ((ident, BEGIN), ("fl-other", BEGIN), (ident, BEGIN - timedelta(hours=2)))]  # fmt: skip
    for name in names:
        body = gzip.compress(f"{V5}\n{flow_line(BEGIN)}\n".encode())
        s3.put_object(Bucket=BUCKET, Key=f"{home}/{name}", Body=body)
    asked = scope()
    assert _texts(asked) == {f"flowlogs/{names[0]}": [V5, flow_line(BEGIN)]}
    assert asked.unread == []


def test_hive_partitions_below_a_folder(account: Account) -> None:
    """moto keeps neither a folder nor options of the destination: the description is as AWS documents it."""
    s3 = boto3.Session().client("s3")
    s3.create_bucket(Bucket="hive", CreateBucketConfiguration={"LocationConstraint": REGION})
    name = f"123456789012_vpcflowlogs_{REGION}_fl-1_{BEGIN:%Y%m%dT%H%M}Z_1a2b3c4d.log.parquet"
    home = f"vpc/AWSLogs/aws-account-id=123456789012/aws-service=vpcflowlogs/aws-region={REGION}"
    s3.put_object(Bucket="hive", Key=f"{home}/year={BEGIN:%Y}/month={BEGIN:%m}/day={BEGIN:%d}/hour=9/{name}", Body=b"x")
    log = {"FlowLogId": "fl-1", "LogDestination": "arn:aws:s3:::hive/vpc/", "LogDestinationType": "s3",
           "DestinationOptions": {"FileFormat": "parquet", "HiveCompatiblePartitions": True}}  # fmt: skip
    assert [piece.name for piece in flowlogs._filed(scope(), log)] == [f"flowlogs/{name}"]


def test_in_cloudwatch(network: tuple[Account, Any, str]) -> None:
    account, ec2, subnet = network
    account.groups.add("flow-group")
    account.flows = [(BEGIN + timedelta(minutes=minutes), flow_line(BEGIN, minutes)) for minutes in (1, 2, 3, 61)]
    ident = _made(ec2, subnet, LogDestinationType="cloud-watch-logs", LogGroupName="flow-group",
                  DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flow")  # fmt: skip
    texts = _texts(scope())
    assert {name.startswith(f"flowlogs/{ident}-") for name in texts} == {True}
    assert [line for lines in texts.values() for line in lines if line != V5] == [
        flow_line(BEGIN, minutes) for minutes in (1, 2, 3)
    ]
    assert all(lines[0] == V5 for lines in texts.values())
    # of a node only its interfaces' streams
    one = scope("i-0123456789abcdef0")
    one.__dict__["instance"] = {"SubnetId": subnet, "NetworkInterfaces": [{"NetworkInterfaceId": "eni-0a1b"}]}
    assert len([line for lines in _texts(one).values() for line in lines if line != V5]) == 3
    asked = [params.get("logStreamNames") for _, name, params in account.strict.calls if name == "FilterLogEvents"]
    assert asked[-1] == ["eni-0a1b-all"]
    account.groups.clear()
    with pytest.raises(StorageError, match="logs:FilterLogEvents failed with ResourceNotFoundException"):
        _texts(scope())
