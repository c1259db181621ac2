# SPDX-License-Identifier: Apache-2.0
"""Objects of S3 into which AWS has filed logs: listed by day, copied as they lie there."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from memir.aws.errors import calling
from memir.aws.fetch.scope import Piece, Scope, Unread

MAX_OBJECTS = 100_000
"""Files of one source in one run."""
MAX_SIZE = 1 << 30
"""Bytes of one file: CloudTrail's have up to 50 MiB unpacked, flow logs' up to 75."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,200}")
_TIME = re.compile(r"_(\d{8}T\d{4})Z_")
_BLOCK = 1 << 20


def pieces(
    scope: Scope, name: str, bucket: str, prefixes: Iterator[str], wanted: Callable[[str, datetime], bool]
) -> Iterator[Piece]:
    """A piece for each object below the prefixes whose name carries a time that is wanted.

    wanted: of (base name, time). What is too large or has a name that no file should have is noted in scope.unread.
    """
    count, odd = 0, 0
    for prefix in prefixes:
        for item in _listed(scope, bucket, prefix):
            base = str(item["Key"]).rpartition("/")[2]
            time = _TIME.search(base)
            if time is None or not wanted(base, datetime.strptime(time[1], "%Y%m%dT%H%M").replace(tzinfo=UTC)):
                continue
            if not _NAME.fullmatch(base) or int(item["Size"]) > MAX_SIZE:
                odd += 1
                continue
            if count == MAX_OBJECTS:
                scope.unread.append(Unread(name, f"more than {MAX_OBJECTS:,} files: ask for a shorter time"))
                return
            count += 1
            yield Piece(f"{name}/{base}", None, functools.partial(_blocks, scope, bucket, str(item["Key"])))
    if odd:
        why = f"{odd:,} files with strange names, or of more than {MAX_SIZE >> 30} GiB, left out"
        scope.unread.append(Unread(name, why))


def below(scope: Scope, bucket: str, prefix: str) -> list[str]:
    """Names of the folders right below a prefix."""
    with calling("s3:ListBucket", f"s3://{bucket}/{prefix}"):
        answer = scope.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/")
    return [str(each["Prefix"])[len(prefix) :].strip("/") for each in answer.get("CommonPrefixes", ())]


def _listed(scope: Scope, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    with calling("s3:ListBucket", f"s3://{bucket}/{prefix}"):
        for page in scope.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from page.get("Contents", ())


def _blocks(scope: Scope, bucket: str, key: str) -> Iterator[bytes]:
    with calling("s3:GetObject", f"s3://{bucket}/{key}"):
        yield from scope.client("s3").get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_BLOCK)
