# SPDX-License-Identifier: Apache-2.0
"""The least policy: it allows what is asked, and nothing else, and nothing of it changes anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest

from memir.aws.fetch import cloudtrail
from memir.aws.fetch.permissions import policy, policy_text
from memir.aws.fetch.run import SOURCES, chosen_sources, fetch_logs
from tests.aws.fetch.account import BEGIN, CLUSTER, END, FORMAT, REGION, Account, put_trail
from tests.aws.fetch.test_scope import scope

_IAM = {"s3:ListObjectsV2": "s3:ListBucket"}
READS = ("Describe", "Filter", "Get", "List", "Lookup")


def _allowed(document: dict[str, Any]) -> set[str]:
    return {action for statement in document["Statement"] for action in statement["Action"]}


def test_what_is_asked_is_what_is_allowed(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloudtrail, "PAUSE", 0.0)
    session = boto3.Session()
    ec2, s3 = session.client("ec2"), session.client("s3")
    s3.create_bucket(Bucket="asked", CreateBucketConfiguration={"LocationConstraint": REGION})
    put_trail(s3, "asked", "123456789012", account.trail, BEGIN)
    account.groups.add("flow-group")
    subnet = scope().facts["resourcesVpcConfig"]["subnetIds"][0]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    node = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet)["Instances"][0]["InstanceId"]
    ec2.create_flow_logs(
        ResourceIds=[subnet], ResourceType="Subnet", TrafficType="ALL", LogFormat=FORMAT,
        LogDestinationType="cloud-watch-logs", LogGroupName="flow-group",
        DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flow",
    )  # fmt: skip
    asked: set[str] = set()

    class Noting(boto3.Session):
        def client(self, *args: Any, **kwargs: Any) -> Any:
            made = super().client(*args, **kwargs)
            name = made.meta.service_model.service_name
            made.meta.events.register("before-call", lambda model, **_: asked.add(f"{name}:{model.name}"))
            return made

    monkeypatch.setattr(boto3, "Session", Noting)
    times: dict[str, Any] = {"begin": BEGIN.isoformat(), "end": END.isoformat()}
    fetch_logs(CLUSTER, where=str(tmp_path / "a"), node=node, **times)
    account.trails = [{"Name": "org", "S3BucketName": "asked", "S3KeyPrefix": "org", "IsMultiRegionTrail": True}]
    fetch_logs(CLUSTER, where=str(tmp_path / "b"), only=["cloudtrail"], **times)
    made = [each["FlowLogId"] for each in ec2.describe_flow_logs()["FlowLogs"]]
    ec2.delete_flow_logs(FlowLogIds=made)
    allowed = _allowed(policy(SOURCES, CLUSTER, node=True))
    assert {_IAM.get(name, name) for name in asked} == allowed
    assert all(action.partition(":")[2].startswith(READS) for action in allowed)


def test_places() -> None:
    document = policy(chosen_sources(["audit"]), "lab", region="eu-west-1", account="1", where="s3://case/logs")
    assert {tuple(each["Action"]): each["Resource"] for each in document["Statement"]} == {
        ("eks:DescribeCluster",): "arn:aws:eks:eu-west-1:1:cluster/lab",
        ("logs:FilterLogEvents",): "arn:aws:logs:eu-west-1:1:log-group:/aws/eks/lab/cluster:*",
        ("s3:ListBucket",): "arn:aws:s3:::case",
        ("s3:GetObject", "s3:PutObject"): "arn:aws:s3:::case/logs/*",
    }  # fmt: skip
    assert "TRAIL-BUCKET/*" in policy_text(policy(SOURCES, "lab"))
