# SPDX-License-Identifier: Apache-2.0
"""What is asked of a bucket before a run, answered by a real S3 server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from memir.acquire.sinks.s3.check import bucket_checks, clock_check, lock_check, reach
from memir.acquire.sinks.s3.options import S3Options
from memir.aws.address import S3Address
from memir.aws.client import Connection, s3_client
from tests.acquire.rigs.s3shim import Shim

LOCKED = S3Options(lock_mode="GOVERNANCE", lock_days=2)


def test_checks_leave_nothing(s3: Any, bucket: str) -> None:
    checks = bucket_checks(s3, S3Address(bucket, "case"), LOCKED)
    assert {check.name: check.level for check in checks} == {"bucket region": "ok", "clock": "ok", "Object Lock": "ok"}
    assert checks[-1].detail == "on; GOVERNANCE for 2 days was asked for"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)


def test_object_lock_missing_or_by_default(s3: Any, bucket: str) -> None:
    plain = S3Address(bucket + "-plain", "")
    s3.create_bucket(Bucket=plain.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert lock_check(s3, plain, LOCKED).level == "fail"
    assert lock_check(s3, plain, S3Options()).level == "warn"
    assert lock_check(s3, S3Address(bucket, ""), S3Options()).detail.startswith("on, but nothing retains")
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 3}}
    s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    assert lock_check(s3, S3Address(bucket, ""), S3Options()).detail == "on, by default COMPLIANCE for 3 days"


def test_a_bucket_that_is_not_there_or_elsewhere(s3: Any, bucket: str, shim: Shim) -> None:
    (missing,) = bucket_checks(s3, S3Address(bucket + "-none", ""), S3Options())
    assert (missing.name, missing.level, missing.advice) == (
        "bucket", "fail", "create it with Object Lock before the run",
    )  # fmt: skip
    region = [check.detail for check in reach(s3, S3Address(bucket, "")) if check.name == "bucket region"]
    assert region[0] in {"eu-west-1", "not told"}
    elsewhere = reach(s3_client(Connection("us-east-2", shim.endpoint)), S3Address(bucket, ""))
    assert [check.name for check in elsewhere if check.level == "fail"] == ["bucket region"]


def test_clock() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert clock_check("Fri, 02 Jan 2026 03:04:04 GMT", now).level == "ok"
    assert clock_check("Fri, 02 Jan 2026 03:03:05 GMT", now).detail == "this machine is +60 s from the service"
    assert clock_check("Fri, 02 Jan 2026 03:03:05 GMT", now).level == "warn"
    assert clock_check("Fri, 02 Jan 2026 04:04:05 GMT", now).level == "fail"
    assert clock_check("nonsense", now).level == "warn"
