# SPDX-License-Identifier: Apache-2.0
"""EC2 instances: those that SSM manages, and how much memory a type has."""

from __future__ import annotations

from memir.aws.client import Client
from memir.aws.errors import calling
from memir.errors import NodeError, UsageError


def instances_by_tag(ssm: Client, tag: str) -> list[str]:
    """Ids of the managed instances with a tag, `KEY=VALUE`. Raises UsageError, AccessError, NodeError."""
    key, equals, value = tag.partition("=")
    if not key or not equals:
        raise UsageError(f"--tag {tag!r}: write KEY=VALUE")
    with calling("ssm:DescribeInstanceInformation", "SSM"):
        pages = ssm.get_paginator("describe_instance_information").paginate(
            Filters=[{"Key": f"tag:{key}", "Values": [value]}]
        )
        instances = [str(item["InstanceId"]) for page in pages for item in page["InstanceInformationList"]]
    if not instances:
        raise NodeError(f"no instance that SSM manages has the tag {tag}")
    return instances


def instance_memory(ec2: Client, instance_id: str) -> tuple[str, int]:
    """(the instance's type, bytes of memory that AWS sells it with). Raises AccessError, ConnectError, StorageError.

    Asks ec2:DescribeInstances and ec2:DescribeInstanceTypes; ("", 0) where AWS says neither.
    """
    with calling("ec2:DescribeInstances", f"instance {instance_id}"):
        answer = ec2.describe_instances(InstanceIds=[instance_id])
    kinds = [str(item.get("InstanceType", "")) for group in answer["Reservations"] for item in group["Instances"]]
    if not kinds or not kinds[0]:
        return "", 0
    with calling("ec2:DescribeInstanceTypes", kinds[0]):
        types = ec2.describe_instance_types(InstanceTypes=[kinds[0]]).get("InstanceTypes", [])
    size = int(types[0].get("MemoryInfo", {}).get("SizeInMiB", 0)) if types else 0
    return kinds[0], size << 20
