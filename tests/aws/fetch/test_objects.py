# SPDX-License-Identifier: Apache-2.0
"""Files of logs in S3: listed by day, copied as they lie there."""

from __future__ import annotations

from datetime import timedelta

import boto3
import pytest

from memir.aws.fetch import objects
from memir.aws.fetch.objects import below, pieces
from tests.aws.fetch.account import BEGIN, REGION, Account
from tests.aws.fetch.test_scope import scope

BUCKET = "objects"


def test_what_is_wanted(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = boto3.Session().client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    names = [f"a_{BEGIN + timedelta(minutes=minutes):%Y%m%dT%H%M}Z_x.gz" for minutes in (0, 5, 90)]
    for name in (*names, f"odd name_{BEGIN:%Y%m%dT%H%M}Z_x.gz", "no-time.gz"):
        s3.put_object(Bucket=BUCKET, Key=f"logs/day/{name}", Body=name.encode())
    asked = scope()

    def those(prefix: str = "logs/day/") -> list[str]:
        found = pieces(asked, "trail", BUCKET, iter([prefix]), lambda _, time: time < BEGIN + timedelta(hours=1))
        return [b"".join(piece.blocks()).decode() for piece in found]

    assert those() == sorted(names[:2])
    assert [each.why for each in asked.unread] == ["1 files with strange names, or of more than 1 GiB, left out"]
    assert those("logs/other/") == []
    monkeypatch.setattr(objects, "MAX_OBJECTS", 1)
    assert those() == names[:1]
    assert asked.unread[-1].why == "more than 1 files: ask for a shorter time"
    assert below(asked, BUCKET, "logs/") == ["day"]
