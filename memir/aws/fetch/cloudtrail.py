# SPDX-License-Identifier: Apache-2.0
"""CloudTrail: the files of a trail in S3 where one may be read, which have data events too; else LookupEvents.

Where files lie: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-find-log-files.html.
LookupEvents: two requests a second of 50 events, management events of 90 days, one attribute a request.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from memir.aws.errors import calling
from memir.aws.fetch import objects
from memir.aws.fetch.scope import Piece, Scope, Source, Unread, json_lines
from memir.aws.fetch.window import LATE, Window
from memir.errors import AccessError, RemoteError

STEP = timedelta(hours=1)
PAUSE = 0.5
"""Seconds between two pages of LookupEvents."""
GLOBAL = "us-east-1"
"""Where services without a region, IAM and the global endpoint of STS, are filed."""
_KEPT = timedelta(days=90)
_OF_PODS = ("AssumeRoleWithWebIdentity", "AssumeRoleForPodIdentity", "AssumeRole")
ON_BUCKET = "bucket of the trail"


def _pieces(scope: Scope) -> Iterable[Piece]:
    trail, why = _trail(scope)
    if trail is not None:
        yield from _filed(scope, trail)
        return
    scope.unread.append(Unread("cloudtrail", f"{why}: taken from LookupEvents, which has no data events", False))
    yield from _looked_up(scope)


def _trail(scope: Scope) -> tuple[Mapping[str, Any] | None, str]:
    """(the trail whose files can be listed, None and why there is none)."""
    try:
        with calling("cloudtrail:DescribeTrails", "CloudTrail"):
            trails = scope.client("cloudtrail").describe_trails()["trailList"]
    except AccessError as error:
        return None, str(error)
    trails = [each for each in trails
              if each.get("IsMultiRegionTrail") or each.get("HomeRegion") == scope.region]  # fmt: skip
    why = "no trail files events of this region in S3"
    for trail in sorted(trails, key=lambda each: not each.get("IsMultiRegionTrail")):
        try:
            if _homes(scope, trail):
                return trail, ""
            why = f"the trail {trail.get('Name')} has no file of this account"
        except RemoteError as error:
            why = str(error)
    return None, why


def _homes(scope: Scope, trail: Mapping[str, Any]) -> list[str]:
    """Prefixes of the account's events in a trail's bucket; an organisation's trail has its id between."""
    bucket, prefix = str(trail["S3BucketName"]), str(trail.get("S3KeyPrefix") or "").strip("/")
    root = f"{prefix}/AWSLogs/" if prefix else "AWSLogs/"
    names = objects.below(scope, bucket, root)
    own = [f"{root}{scope.account}/"] if scope.account in names else []
    return own + [f"{root}{name}/{scope.account}/" for name in names if name.startswith("o-")]


def _filed(scope: Scope, trail: Mapping[str, Any]) -> Iterator[Piece]:
    regions = dict.fromkeys([scope.region, *([GLOBAL] if trail.get("IncludeGlobalServiceEvents", True) else [])])
    prefixes = (
        f"{home}CloudTrail/{region}/{day:%Y/%m/%d}/"
        for home in _homes(scope, trail) for region in regions for day in scope.window.days()
    )  # fmt: skip

    def wanted(base: str, when: datetime) -> bool:
        # a file has the time at which it was closed: events of the minutes before
        return "_CloudTrail_" in base and scope.window.begin - LATE <= when <= scope.window.end + LATE

    yield from objects.pieces(scope, "cloudtrail", str(trail["S3BucketName"]), prefixes, wanted)


def _looked_up(scope: Scope) -> Iterator[Piece]:
    begin = max(scope.window.begin, (datetime.now(scope.window.end.tzinfo) - _KEPT).replace(microsecond=0))
    if begin > scope.window.begin:
        scope.unread.append(Unread("cloudtrail", "LookupEvents keeps 90 days: what is older is in a trail's files"))
    if begin >= scope.window.end:
        return
    for window in Window(begin, scope.window.end).slices(STEP):
        for label, attributes in _asked(scope):
            blocks = functools.partial(_lines, scope, window, attributes)
            yield Piece(f"cloudtrail/lookup{label}-{window.name}.jsonl.gz", window.end, blocks)


def _asked(scope: Scope) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """(part of a name, attributes) of each request: all events, or those about one node."""
    if not scope.node:
        yield "", []
        return
    instance = str(scope.instance["InstanceId"])
    yield "-node", [{"AttributeKey": "Username", "AttributeValue": instance}]
    yield "-about-node", [{"AttributeKey": "ResourceName", "AttributeValue": instance}]
    for name in _OF_PODS:
        yield f"-{name}", [{"AttributeKey": "EventName", "AttributeValue": name}]


def _lines(scope: Scope, window: Window, attributes: list[dict[str, str]]) -> Iterator[bytes]:
    return json_lines(_events(scope, window, attributes))


def _events(scope: Scope, window: Window, attributes: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    chosen = {"LookupAttributes": attributes} if attributes else {}
    # both ends are inside, to the second
    last = window.end - timedelta(seconds=1)
    pages = scope.client("cloudtrail").get_paginator("lookup_events")
    with calling("cloudtrail:LookupEvents", "CloudTrail"):
        for number, page in enumerate(pages.paginate(StartTime=window.begin, EndTime=last, **chosen)):
            time.sleep(PAUSE if number else 0)
            yield from page.get("Events", ())


SOURCE = Source(
    "cloudtrail", "CloudTrail events", _pieces,
    (("cloudtrail:DescribeTrails", "*"), ("cloudtrail:LookupEvents", "*"), ("s3:ListBucket", ON_BUCKET),
     ("s3:GetObject", ON_BUCKET)),
)  # fmt: skip
