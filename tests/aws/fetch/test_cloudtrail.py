# SPDX-License-Identifier: Apache-2.0
"""CloudTrail: files of a trail where there are some, else what can be looked up."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import Any

import boto3
import pytest

from memir.aws.fetch import cloudtrail
from memir.aws.fetch.cloudtrail import SOURCE
from tests.aws.fetch.account import BEGIN, REGION, Account, put_trail
from tests.aws.fetch.test_scope import scope

BUCKET = "trail"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudtrail, "PAUSE", 0.0)


def _idents(blocks: bytes) -> list[str]:
    return [json.loads(json.loads(line)["CloudTrailEvent"])["eventID"] for line in gzip.decompress(blocks).splitlines()]


def test_looked_up(account: Account) -> None:
    asked = scope()
    pieces = list(SOURCE.pieces(asked))
    found = [ident for piece in pieces for ident in _idents(b"".join(piece.blocks()))]
    assert sorted(found) == sorted(f"event-{minutes}" for minutes in range(0, 60, 7))
    assert len(pieces) == 2 and pieces[0].name.startswith("cloudtrail/lookup-")
    assert asked.unread[0].why == (
        "no trail files events of this region in S3: taken from LookupEvents, which has no data events"
    )


def test_looked_up_for_a_node(account: Account) -> None:
    asked = scope("i-0123456789abcdef0")
    asked.__dict__["instance"] = {"InstanceId": "i-0123456789abcdef0"}
    account.trail[0]["Username"] = "i-0123456789abcdef0"
    account.trail[1]["EventName"] = "AssumeRoleWithWebIdentity"
    found = {piece.name.split("-2")[0]: _idents(b"".join(piece.blocks())) for piece in SOURCE.pieces(asked)
             if f"{BEGIN:%Y%m%dT%H%M}" in piece.name}  # fmt: skip
    assert found == {
        "cloudtrail/lookup-node": ["event-0"], "cloudtrail/lookup-about-node": [],
        "cloudtrail/lookup-AssumeRoleWithWebIdentity": ["event-7"], "cloudtrail/lookup-AssumeRoleForPodIdentity": [],
        "cloudtrail/lookup-AssumeRole": [],
    }  # fmt: skip


def _trail(**more: Any) -> dict[str, Any]:
    return {"Name": "org", "S3BucketName": BUCKET, "S3KeyPrefix": "org", "HomeRegion": REGION,
            "IsMultiRegionTrail": True, **more}  # fmt: skip


def test_a_trail(account: Account) -> None:
    s3 = boto3.Session().client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    account.trails = [_trail()]
    empty = scope()
    assert next(iter(SOURCE.pieces(empty))).name.startswith("cloudtrail/lookup-")
    assert empty.unread[0].why.startswith("the trail org has no file of this account: taken from LookupEvents")
    inside = put_trail(s3, BUCKET, "123456789012", account.trail, BEGIN + timedelta(minutes=10))
    put_trail(s3, BUCKET, "123456789012", account.trail, BEGIN - timedelta(hours=1))
    put_trail(s3, BUCKET, "999999999999", account.trail, BEGIN + timedelta(minutes=10))
    digest = inside.replace("_CloudTrail_", "_CloudTrail-Digest_").replace("aBc", "dEf")
    s3.put_object(Bucket=BUCKET, Key=digest, Body=b"{}")
    asked = scope()
    (piece,) = SOURCE.pieces(asked)
    assert (piece.name, piece.ends) == (f"cloudtrail/{inside.rpartition('/')[2]}", None)
    assert len(json.loads(gzip.decompress(b"".join(piece.blocks())))["Records"]) == len(account.trail)
    assert asked.unread == []
    # another region's trail alone is none
    account.trails = [_trail(HomeRegion="us-west-2", IsMultiRegionTrail=False)]
    assert next(iter(SOURCE.pieces(scope()))).name.startswith("cloudtrail/lookup-")


def test_denied(account: Account) -> None:
    account.strict.denied = {"cloudtrail:DescribeTrails"}
    asked = scope()
    assert len(list(SOURCE.pieces(asked))) == 2
    assert asked.unread[0].why.startswith("cloudtrail:DescribeTrails is denied on CloudTrail")


def test_what_is_no_longer_kept(account: Account) -> None:
    asked = scope()
    asked.window = type(asked.window)(BEGIN - timedelta(days=120), BEGIN - timedelta(days=100))
    assert list(SOURCE.pieces(asked)) == []
    assert asked.unread[-1].why == "LookupEvents keeps 90 days: what is older is in a trail's files"
