# SPDX-License-Identifier: Apache-2.0
"""Images that lie elsewhere, read by ranges: what is not touched is not fetched, and no copy is made first.

This folder knows no network. Whoever opens such an image hands over an ObjectReader (memir.aws.image has S3's).
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from memir.image.lazy import LazyBacking
from memir.image.source import LazyFile

CHUNK = 8 << 20
"""Bytes of one request, as S3 advises. Half of it took 1.6 times as long on the test server."""

WORKERS = 8
"""Requests at a time. One connection to S3 gives some 85 MB/s."""


class ObjectReader(Protocol):
    """One version of one stored object.

    address: for messages. version: a text that differs when the object does. size: bytes; both are known once the
    first range was read.
    """

    address: str

    @property
    def version(self) -> str:
        """The version that is read; every range is of this one."""
        ...

    @property
    def size(self) -> int:
        """Bytes of the object."""
        ...

    def fetch(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on, fewer only at the object's end. Called from several threads.

        Raises ImageError or RemoteError; ChangedImageError when the object was replaced meanwhile.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class RemoteFile(LazyFile):
    """A source whose bytes come from an ObjectReader."""

    def __init__(self, reader: ObjectReader, backing: LazyBacking) -> None:
        super().__init__(reader.address, backing, None, f"{reader.address}|{reader.version}|{reader.size}")
        self._reader = reader

    def close(self) -> None:
        """Stop fetching."""
        super().close()
        self._reader.close()


def open_remote(reader: ObjectReader, cache: Path | None) -> RemoteFile:
    """The object as a file. cache: folder for the scratch file that holds what was fetched.

    The reader is closed with the file, and when it cannot be opened.
    """
    try:
        first = reader.fetch(0, CHUNK)

        def load(which: int) -> bytes:
            return first if which == 0 else reader.fetch(which * CHUNK, min(CHUNK, reader.size - which * CHUNK))

        backing = LazyBacking.even(reader.size, CHUNK, load, cache, workers=WORKERS, ahead=WORKERS)
    except BaseException:
        reader.close()
        raise
    return RemoteFile(reader, backing)
