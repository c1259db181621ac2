# SPDX-License-Identifier: Apache-2.0
"""NodeState of the bucket: region, Object Lock, and each S3 action by name, without leaving anything behind.

How an action is tried without doing it: the request is made on something that does not exist. S3 decides
about the permission first, so `NoSuchUpload` or `NoSuchKey` says that the action is allowed and
`AccessDenied` that it is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from memir.acquire.sinks.s3.options import S3Options
from memir.aws.address import S3Address
from memir.aws.client import Client
from memir.aws.errors import calling, cause_code, cause_status, region_of
from memir.errors import AccessError, RemoteError
from memir.evidence.plan import Check

OBJECT_ACTIONS = ("s3:PutObject", "s3:GetObject", "s3:ListMultipartUploadParts")
"""What a run needs, of the objects below the prefix."""
MAILBOX_ACTIONS = ("s3:DeleteObject", "s3:ListBucket")
"""Beside them over SSM: what node and controller write to one another goes through the bucket, and is removed."""


def bucket_checks(client: Client, address: S3Address, options: S3Options) -> Sequence[Check]:
    """Every check in order; after the first that shows the bucket cannot be reached, no more are made."""
    first = reach(client, address)
    if any(check.level == "fail" for check in first):
        return first
    return [*first, lock_check(client, address, options)]


def reach(client: Client, address: S3Address) -> list[Check]:
    """Whether the bucket is there, in which region, and how far apart the clocks are."""
    where = f"s3://{address.bucket}"
    try:
        with calling("s3:ListBucket", where):
            answer = client.head_bucket(Bucket=address.bucket)
    except RemoteError as error:
        status = cause_status(error)
        if status in (301, 400):
            region = region_of(error.__cause__)
            detail = f"{where} is in {region or 'another region'}, the client signs for {client.meta.region_name}"
            return [Check("bucket region", "fail", detail, f"pass --region {region or 'REGION'}")]
        if status == 404:
            return [Check("bucket", "fail", f"{where} does not exist", "create it with Object Lock before the run")]
        if isinstance(error, AccessError) and status == 403:
            # the run itself needs no right to list the bucket
            detail = f"{where} may not be looked at (s3:ListBucket): its region and clock show when it is written to"
            return [Check("bucket", "warn", detail, "allow s3:ListBucket to know beforehand")]
        return [Check("bucket", "fail", str(error), "sign in, or give another bucket")]
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    region = headers.get("x-amz-bucket-region", "")
    out = []
    if region and client.meta.region_name and region != client.meta.region_name:
        detail = f"{where} is in {region}, the client signs for {client.meta.region_name}"
        out.append(Check("bucket region", "fail", detail, f"pass --region {region}"))
    else:
        out.append(Check("bucket region", "ok", region or "not told"))
    return [*out, clock_check(headers.get("date", ""))]


def clock_check(date: str, now: datetime | None = None) -> Check:
    """The difference between this machine's clock and the service's Date header."""
    from email.utils import parsedate_to_datetime

    try:
        there = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return Check("clock", "warn", "the service sent no date", "compare the clock by hand")
    off = ((now or datetime.now(UTC)) - there).total_seconds()
    detail = f"this machine is {off:+.0f} s from the service"
    if abs(off) > 300:
        return Check("clock", "fail", detail, "set the clock: AWS refuses signatures more than 15 minutes off")
    return Check("clock", "warn" if abs(off) > 5 else "ok", detail, "set the clock" if abs(off) > 5 else "")


def lock_check(client: Client, address: S3Address, options: S3Options) -> Check:
    """Object Lock: what the bucket does by itself, and whether what was asked for is possible."""
    try:
        with calling("s3:GetBucketObjectLockConfiguration", f"s3://{address.bucket}"):
            answer = client.get_object_lock_configuration(Bucket=address.bucket)
    except RemoteError as error:
        if cause_code(error) == "ObjectLockConfigurationNotFoundError":
            if options.lock_mode:
                advice = "use a bucket that was made with Object Lock, or leave out --object-lock"
                return Check("Object Lock", "fail", "the bucket has no Object Lock", advice)
            advice = "evidence can be deleted: prefer a bucket with Object Lock"
            return Check("Object Lock", "warn", "the bucket has no Object Lock", advice)
        return Check("s3:GetBucketObjectLockConfiguration", "warn", str(error), "allow the action")
    rule = answer.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention")
    if rule:
        span = f"{rule.get('Days', rule.get('Years'))} {'days' if 'Days' in rule else 'years'}"
        return Check("Object Lock", "ok", f"on, by default {rule.get('Mode')} for {span}")
    if options.lock_mode:
        return Check("Object Lock", "ok", f"on; {options.lock_mode} for {options.lock_days} days was asked for")
    advice = "pass --object-lock, or set a default retention"
    return Check("Object Lock", "warn", "on, but nothing retains the objects by default", advice)
