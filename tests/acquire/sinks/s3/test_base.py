# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from memir.acquire.sinks.s3.base import MAX_PARTS, MIB, MIN_PART, S3Sink, part_size, tidy
from memir.acquire.sinks.s3.options import S3Options
from memir.aws.address import S3Address
from memir.aws.client import Connection
from memir.errors import StorageError
from tests.acquire.rigs.s3shim import Shim


@pytest.mark.parametrize("ram", [0, 1 << 30, 512 << 30, 24 << 40])
def test_10_000_parts_hold_the_ram(ram: int) -> None:
    size = part_size(ram)
    assert size % MIB == 0
    assert size * MAX_PARTS >= ram + ram // 64
    assert size == MIN_PART or (size - MIB) * MAX_PARTS < ram + ram // 64
    assert part_size(1, 5 * MIB) == 5 * MIB


def test_what_the_store_says_as_json_holds_it() -> None:
    when = datetime(2026, 1, 2, 5, tzinfo=timezone(timedelta(hours=2)))
    assert tidy({"VersionId": "v", "ContentLength": 7, "LastModified": when, "Body": object(), "ETag": None}) == {
        "VersionId": "v", "ContentLength": 7, "LastModified": "2026-01-02T03:00:00+00:00",
    }  # fmt: skip


def sink(shim: Shim, s3: Any, bucket: str, **options: Any) -> S3Sink:
    return S3Sink(S3Address(bucket, "case"), S3Options(Connection(shim.region, shim.endpoint), **options), s3)


def test_a_small_file_beside_the_image(s3: Any, bucket: str, shim: Shim) -> None:
    store = sink(shim, s3, bucket, lock_mode="GOVERNANCE", lock_days=3)
    answer = store.record("receipt.json", b"{}")
    assert (answer["where"], answer["size"]) == (f"s3://{bucket}/case/receipt.json", 2)
    assert answer["ChecksumSHA256"] == "RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o="
    head = s3.head_object(Bucket=bucket, Key="case/receipt.json")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    left = head["ObjectLockRetainUntilDate"] - datetime.now(UTC)
    assert timedelta(days=2, hours=23) < left <= timedelta(days=3)


def test_what_it_says_before(s3: Any, bucket: str, shim: Shim) -> None:
    store = sink(shim, s3, bucket, kms_key="alias/ir")
    assert store.key_arguments() == {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/ir"}
    assert (sink(shim, s3, bucket).key_arguments(), store.lock_arguments(), store.expected) == ({}, {}, 0)
    assert [step.command for step in store.steps()] == [
        "s3:CreateMultipartUpload", "s3:UploadPart", "s3:CompleteMultipartUpload", "s3:HeadObject",
    ]  # fmt: skip
    assert store.traces()[1].where == f"s3://{bucket}/case"
    assert next(check.name for check in store.check()) == "bucket region"
    with pytest.raises(StorageError, match="nothing was begun"):
        store.image_name  # noqa: B018  what it raises is what is tested
