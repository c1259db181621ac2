# SPDX-License-Identifier: Apache-2.0
"""An image that is read part by part from where it is stored, each part's hash taken again.

This folder knows no network: whoever checks evidence in a store hands over a PartReader (memir.aws.evidence has S3's).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from memir.errors import ImageFormatError
from memir.evidence.records import Part
from memir.evidence.walker import RecordWalker

STEP = 1 << 20


class Body(Protocol):
    """The bytes of an object, read once from its start."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes, b"" at the end. Raises RemoteError."""
        ...


class PartReader(Protocol):
    """Reads one version of a stored image."""

    def open(self, where: str, version: str) -> AbstractContextManager[Body]:
        """The object at an address (s3://...). version: "" for the newest. Raises RemoteError."""
        ...

    def facts(self, where: str, version: str) -> Mapping[str, Any]:
        """What the store says of it: LastModified, ObjectLockMode, ObjectLockRetainUntilDate as ISO 8601 text; {} if
        it says nothing."""
        ...

    def names(self, where: str) -> Iterator[str]:
        """Names of the objects below an address, as in a folder. Raises RemoteError."""
        ...


def check_parts(
    body: Body, parts: Sequence[Part], walker: RecordWalker, name: str = "",
    report: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """Read the parts once, in order; yields (where, what) for everything that does not match.

    walker: is fed what comes. name: what the parts belong to, for `where`. report: called with the bytes read so far.
    The last item's `where` is "" and its `what` the SHA-256 of the whole.
    """
    whole, done, bad_format = hashlib.sha256(), 0, ""
    for part in parts:
        where = f"{name} part {part.number} (bytes {part.offset:,} and on)".strip()
        if part.offset != done:
            yield where, f"is recorded at {part.offset:,}, not at {done:,}"
        digest, left = hashlib.sha256(), max(0, part.size)
        while left and (chunk := body.read(min(left, STEP))):
            digest.update(chunk)
            whole.update(chunk)
            left -= len(chunk)
            done += len(chunk)
            if not bad_format:
                try:
                    walker.feed(chunk)
                except ImageFormatError as error:
                    bad_format = str(error)
            report(done)
        if left:
            yield where, f"is {left:,} bytes short"
        elif digest.hexdigest() != part.sha256:
            yield where, f"has SHA-256 {digest.hexdigest()}, recorded is {part.sha256}"
    if bad_format:
        yield name or "image", bad_format
    yield "", whole.hexdigest()


def read_image(
    where: str, version: str, size: int, sha256: str, parts: Sequence[Part], reader: PartReader, walker: RecordWalker,
    report: Callable[[int], None] = lambda _: None,
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """Read a stored image's recorded version once; yields (where, what) for everything that does not match.

    size, sha256: as recorded; sha256 "" if none was. report: called with the bytes read.
    Raises RemoteError when it cannot be read.
    """
    with reader.open(where, version) as body:
        digest = ""
        for place, what in check_parts(body, parts, walker, report=report):
            if place:
                yield place, what
            else:
                digest = what
        if body.read(1):
            yield where, f"is longer than the {walker.offset:,} bytes that are recorded"
    done = sum(part.size for part in parts)
    if done != size:
        yield where, f"has {done:,} bytes in its parts, recorded are {size:,}"
    if sha256 and digest != sha256:
        yield where, f"has SHA-256 {digest}, recorded is {sha256}"
