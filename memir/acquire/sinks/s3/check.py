# SPDX-License-Identifier: Apache-2.0
"""NodeState of the bucket: region, Object Lock, and each S3 action by name, without leaving anything behind.

How an action is tried without doing it: the request is made on something that does not exist. S3 decides
about the permission first, so `NoSuchUpload` or `NoSuchKey` says that the action is allowed and
`AccessDenied` that it is not.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from memir.acquire.sinks.s3.options import S3Options
from memir.aws.address import S3Address
from memir.aws.client import Client
from memir.aws.errors import calling, cause_code, cause_status, region_of
from memir.errors import AccessError, ConnectError, RemoteError
from memir.evidence.plan import Check

Probe = tuple[str, Callable[[], object]]


def bucket_checks(client: Client, address: S3Address, options: S3Options) -> Sequence[Check]:
    """Every check in order; after the first that shows the bucket cannot be reached, no more are made."""
    first = reach(client, address)
    if any(check.level == "fail" for check in first):
        return first
    return [*first, lock_check(client, address, options), *action_checks(client, address, options)]


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
        name = "s3:ListBucket" if isinstance(error, AccessError) else "bucket"
        return [Check(name, "fail", str(error), "allow the action, or give another bucket")]
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
                advice = "use a bucket that was made with Object Lock, or leave out --lock"
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


def action_checks(client: Client, address: S3Address, options: S3Options) -> list[Check]:
    """One check for each action that a run needs."""
    bucket, key = address.bucket, address.key(f".memir-probe-{uuid.uuid4().hex}")
    ghost = {"Bucket": bucket, "Key": key, "UploadId": "memir-preflight-no-such-upload"}
    probes: list[Probe] = [
        ("s3:PutObject", lambda: client.upload_part(**ghost, PartNumber=1, Body=b"")),
        ("s3:ListMultipartUploadParts", lambda: client.list_parts(**ghost)),
        ("s3:GetObject", lambda: client.get_object(Bucket=bucket, Key=key)),
        ("s3:ListBucketMultipartUploads", lambda: client.list_multipart_uploads(Bucket=bucket, MaxUploads=1)),
    ]
    if options.lock_mode:
        probes.append(("s3:PutObjectRetention", lambda: retain(client, bucket, key)))
    return [one_action(name, probe, address) for name, probe in probes]


def retain(client: Client, bucket: str, key: str) -> object:
    """Ask for a retention on what is not there."""
    wanted = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime(2100, 1, 1, tzinfo=UTC)}
    return client.put_object_retention(Bucket=bucket, Key=key, Retention=wanted)


def one_action(name: str, probe: Callable[[], object], address: S3Address) -> Check:
    """Allowed unless the service says that it is denied."""
    try:
        with calling(name, address.url()):
            probe()
    except ConnectError as error:
        return Check(name, "warn", str(error), "try again")
    except RemoteError as error:
        if cause_status(error) == 403:
            level = "warn" if name == "s3:ListBucketMultipartUploads" else "fail"
            return Check(name, level, str(error), f"allow {name} on arn:aws:s3:::{address.bucket}/*")  # type: ignore[arg-type]  # a Level
    return Check(name, "ok", "allowed")
