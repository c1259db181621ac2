# SPDX-License-Identifier: Apache-2.0
"""EC2 instances that SSM manages."""

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
