# SPDX-License-Identifier: Apache-2.0
"""VPC flow logs of the cluster's VPC, its subnets and interfaces, from S3 or CloudWatch Logs.

Where files lie: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html. A record in CloudWatch Logs
comes without the line that names its fields: the flow log's own format gives it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from memir.aws.errors import calling
from memir.aws.fetch import objects
from memir.aws.fetch.cloudwatch import events
from memir.aws.fetch.scope import Piece, Scope, Source, Unread, packed
from memir.aws.fetch.window import LATE, Window
from memir.errors import RemoteError

STEP = timedelta(hours=1)
_HOUR = timedelta(hours=1)
_STREAMS = 100  # names of one FilterLogEvents
ON_BUCKET = "bucket of the flow logs"
ON_GROUP = "log group of the flow logs"


def _pieces(scope: Scope) -> Iterable[Piece]:
    logs = _flow_logs(scope)
    if not logs:
        where = f"VPC {scope.vpc}" if scope.vpc else "the cluster's VPC"
        scope.unread.append(Unread("flowlogs", f"{where} has no flow log, and none of its subnets and interfaces"))
    for log in logs:
        ident, kind = str(log["FlowLogId"]), log.get("LogDestinationType") or "cloud-watch-logs"
        try:
            if kind == "s3":
                yield from _filed(scope, log)
            elif kind == "cloud-watch-logs":
                yield from _streamed(scope, log)
            else:
                why = f"{ident} goes to {kind}: copy it from there, and give it to --logs"
                scope.unread.append(Unread("flowlogs", why))
        except RemoteError as error:
            scope.unread.append(Unread("flowlogs", f"{ident}: {error}"))


def _flow_logs(scope: Scope) -> list[Mapping[str, Any]]:
    """Flow logs of the VPC, the subnets and the interfaces that are the cluster's or the node's."""
    subnets = scope.facts.get("resourcesVpcConfig", {}).get("subnetIds", ())
    subnets = [str(scope.instance["SubnetId"])] if scope.instance.get("SubnetId") else subnets
    about = [name for name in (scope.vpc, *subnets, *scope.interfaces) if name]
    pages = scope.client("ec2").get_paginator("describe_flow_logs")
    with calling("ec2:DescribeFlowLogs", "EC2"):
        asked = pages.paginate(Filter=[{"Name": "resource-id", "Values": about[:200]}])
        return [log for page in asked for log in page["FlowLogs"]]


def _filed(scope: Scope, log: Mapping[str, Any]) -> Iterator[Piece]:
    bucket, _, folder = str(log["LogDestination"]).rpartition(":::")[2].partition("/")
    root = f"{folder.strip('/')}/AWSLogs/" if folder.strip("/") else "AWSLogs/"
    options: Mapping[str, Any] = log.get("DestinationOptions") or {}
    ident = str(log["FlowLogId"])

    def wanted(base: str, when: datetime) -> bool:
        # a file has the time at which its first interval began, and is filed at most an hour later
        return f"_{ident}_" in base and scope.window.begin - _HOUR <= when <= scope.window.end + LATE

    if options.get("HiveCompatiblePartitions"):
        home = f"{root}aws-account-id={scope.account}/aws-service=vpcflowlogs/aws-region={scope.region}/"
        days = (f"{home}year={day:%Y}/month={day:%m}/day={day:%d}/" for day in _days(scope.window))
    else:
        home = f"{root}{scope.account}/vpcflowlogs/{scope.region}/"
        days = (f"{home}{day:%Y/%m/%d}/" for day in _days(scope.window))
    yield from objects.pieces(scope, "flowlogs", bucket, days, wanted)


def _days(window: Window) -> Iterator[datetime]:
    return Window(window.begin - _HOUR, window.end).days()


def _streamed(scope: Scope, log: Mapping[str, Any]) -> Iterator[Piece]:
    group, ident = str(log.get("LogGroupName") or str(log.get("LogDestination")).split(":")[6]), str(log["FlowLogId"])
    names = [f"{interface}-{log.get('TrafficType', 'ALL').lower()}" for interface in scope.interfaces][:_STREAMS]
    header = " ".join(re.findall(r"\$\{([a-z0-9-]+)\}", str(log.get("LogFormat") or "")))
    for window in scope.window.slices(STEP):
        blocks = functools.partial(_lines, scope, group, window, header, names)
        yield Piece(f"flowlogs/{ident}-{window.name}.log.gz", window.end, blocks)


def _lines(scope: Scope, group: str, window: Window, header: str, names: list[str]) -> Iterator[bytes]:
    def lines() -> Iterator[str]:
        if header:
            yield header
        # the names of the node's streams; one that has no record yet is refused, and so only those that are there
        known = [name for name in names if _has(scope, group, name)]
        if names and not known:
            return
        chosen = {"logStreamNames": known} if known else {}
        yield from (str(event["message"]) for event in events(scope, group, window, **chosen))

    return packed(lines())


def _has(scope: Scope, group: str, stream: str) -> bool:
    with calling("logs:DescribeLogStreams", f"log group {group}"):
        answer = scope.client("logs").describe_log_streams(logGroupName=group, logStreamNamePrefix=stream, limit=1)
    return any(each.get("logStreamName") == stream for each in answer["logStreams"])


SOURCE = Source(
    "flowlogs", "VPC flow logs", _pieces,
    (("ec2:DescribeFlowLogs", "*"), ("s3:ListBucket", ON_BUCKET), ("s3:GetObject", ON_BUCKET),
     ("logs:FilterLogEvents", ON_GROUP), ("logs:DescribeLogStreams", ON_GROUP)),
)  # fmt: skip
