# SPDX-License-Identifier: Apache-2.0
"""Addresses in S3, and what is wrong with those that are none."""

from __future__ import annotations

import pytest

from memir.aws.address import S3Address, bucket_problem
from memir.errors import UsageError


def test_addresses() -> None:
    address = S3Address.parse("s3://evidence/case/run/")
    assert (address.bucket, address.prefix) == ("evidence", "case/run")
    assert (address.key("x"), address.url("x"), address.url()) == (
        "case/run/x", "s3://evidence/case/run/x", "s3://evidence/case/run",
    )  # fmt: skip
    assert S3Address.parse("s3://evidence").key("x") == "x"
    assert S3Address.of_object("s3://evidence/a/b").prefix == "a/b"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("b", "'b' is too short (a name has 3 to 63 characters)"), ("", "names no bucket"), ("a" * 64, "is too long"),
        ("My_Bucket", "holds other characters"), ("evidence", ""),
    ],
)  # fmt: skip
def test_bucket_names(name: str, words: str) -> None:
    assert words in bucket_problem(name)
    if words:
        with pytest.raises(UsageError, match="write s3://BUCKET/PREFIX"):
            S3Address.parse(f"s3://{name}/c")
        with pytest.raises(UsageError, match="s3://BUCKET/KEY"):
            S3Address.of_object(f"s3://{name}/c")


def test_control_characters() -> None:
    with pytest.raises(UsageError, match="control characters"):
        S3Address.parse("s3://evidence/a\x1bb")
    with pytest.raises(UsageError, match="is not an S3 address"):
        S3Address.parse("evidence/a")
