# SPDX-License-Identifier: Apache-2.0
"""The least IAM policy that fetching logs needs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from memir.aws.address import S3Address
from memir.aws.fetch.cloudtrail import ON_BUCKET as TRAIL
from memir.aws.fetch.cloudwatch import ON_GROUP as CONTROL_PLANE
from memir.aws.fetch.flowlogs import ON_BUCKET as FLOW_LOGS
from memir.aws.fetch.flowlogs import ON_GROUP as FLOW_GROUP
from memir.aws.fetch.scope import Source

CLUSTER = "arn:aws:eks:{region}:{account}:cluster/{cluster}"
_PLACES = {
    CONTROL_PLANE: CONTROL_PLANE, "*": "*", TRAIL: "arn:aws:s3:::TRAIL-BUCKET",
    FLOW_LOGS: "arn:aws:s3:::FLOW-LOGS-BUCKET",
    FLOW_GROUP: "arn:aws:logs:{region}:{account}:log-group:FLOW-LOGS-GROUP:*",
}  # fmt: skip


def policy(
    sources: Sequence[Source],
    cluster: str,
    *,
    region: str = "*",
    account: str = "*",
    node: bool = False,
    where: str = "",
) -> dict[str, Any]:
    """An IAM policy document. where: the destination, of which only an s3:// one needs permissions.

    Names in capitals are the reader's to fill in: nothing is asked to find them.
    """
    needs = [("eks:DescribeCluster", CLUSTER), *([("ec2:DescribeInstances", "*")] if node else [])]
    needs += [need for source in sources for need in source.actions]
    by_place: dict[str, list[str]] = {}
    for action, on in dict.fromkeys(needs):
        place = _PLACES.get(on, on).format(region=region, account=account, cluster=cluster)
        place += "/*" if action == "s3:GetObject" else ""
        by_place.setdefault(place, []).append(action)
    if where.startswith("s3://"):
        address = S3Address.parse(where)
        by_place.setdefault(f"arn:aws:s3:::{address.bucket}", []).append("s3:ListBucket")
        by_place[f"arn:aws:s3:::{address.bucket}/{address.key('*')}"] = ["s3:GetObject", "s3:PutObject"]
    statements = [{"Effect": "Allow", "Action": sorted(set(actions)), "Resource": place}
                  for place, actions in by_place.items()]  # fmt: skip
    return {"Version": "2012-10-17", "Statement": statements}


def policy_text(document: dict[str, Any]) -> str:
    """As it is pasted."""
    return json.dumps(document, indent=1) + "\n"
