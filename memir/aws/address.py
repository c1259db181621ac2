# SPDX-License-Identifier: Apache-2.0
"""Addresses in S3. Bucket names: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"""

from __future__ import annotations

import re
from dataclasses import dataclass

from memir.errors import UsageError

MIN_NAME, MAX_NAME = 3, 63
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*[a-z0-9]")


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where the evidence goes: a bucket and a prefix without outer slashes ("" for the bucket's root)."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> S3Address:
        """From `s3://bucket/prefix`. Raises UsageError, which says what is wrong with it."""
        if not text.startswith("s3://"):
            raise UsageError(f"{text!r} is not an S3 address: write s3://BUCKET/PREFIX")
        bucket, _, rest = text.removeprefix("s3://").partition("/")
        if wrong := bucket_problem(bucket):
            raise UsageError(f"{text!r} is not an S3 address: {wrong}: write s3://BUCKET/PREFIX")
        prefix = rest.strip("/")
        if any(ord(c) < 32 or ord(c) == 127 for c in prefix):
            raise UsageError(f"the prefix of {text!r} holds control characters")
        return cls(bucket, prefix)

    @classmethod
    def of_object(cls, text: str) -> S3Address:
        """From `s3://bucket/key`, the address of one object; `prefix` is its key. Raises UsageError."""
        bucket, _, key = text.removeprefix("s3://").partition("/")
        if not bucket or not key or key.endswith("/"):
            raise UsageError(f"{text}: give an object as s3://BUCKET/KEY")
        if wrong := bucket_problem(bucket):
            raise UsageError(f"{text}: {wrong}: give an object as s3://BUCKET/KEY")
        return cls(bucket, key)

    def key(self, name: str) -> str:
        """Key of a file under the prefix."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def url(self, name: str = "") -> str:
        """The `s3://` address of a file under the prefix, or of the prefix."""
        return f"s3://{self.bucket}/{self.key(name) if name else self.prefix}"


def bucket_problem(name: str) -> str:
    """What is wrong with a bucket's name, "" if nothing."""
    if not name:
        return "it names no bucket"
    if len(name) < MIN_NAME:
        return f"the bucket's name {name!r} is too short (a name has {MIN_NAME} to {MAX_NAME} characters)"
    if len(name) > MAX_NAME:
        return f"the bucket's name {name!r} is too long (a name has {MIN_NAME} to {MAX_NAME} characters)"
    if not _NAME.fullmatch(name):
        return f"the bucket's name {name!r} holds other characters than a-z, 0-9, '.' and '-'"
    return ""
