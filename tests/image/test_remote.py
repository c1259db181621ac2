# SPDX-License-Identifier: Apache-2.0
"""Images read by ranges from where they lie: what is fetched, how often, and what happens when it cannot be."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from memir.errors import ChangedImageError, RemoteError
from memir.image import remote
from memir.image.open import open_image
from memir.image.remote import open_remote
from tests.image.files import PAGE, THREE, lime, noise

DATA = noise(10 * 64 * 1024 + 1234, 4)


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 KiB for 8 MiB: the same code on less data."""
    monkeypatch.setattr(remote, "CHUNK", 1 << 16)


class Stored:
    """An object in memory that notes what is asked of it."""

    address = "s3://bucket/image"
    version = "v7"

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []
        self.closed = 0
        self.fail: Exception | None = None
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        return len(self.data)

    def fetch(self, offset: int, size: int) -> bytes:
        with self._lock:
            self.asked.append((offset, size))
        if self.fail is not None:
            raise self.fail
        return self.data[offset : offset + size]

    def close(self) -> None:
        self.closed += 1


def test_only_what_is_touched_is_fetched(tmp_path: Path) -> None:
    stored = Stored(DATA)
    source = open_remote(stored, tmp_path)
    assert stored.asked == [(0, 1 << 16)]
    assert (source.size, source.name) == (len(DATA), "s3://bucket/image")
    assert source.copy(5 << 16, 16) == DATA[5 << 16 :][:16]
    assert (5 << 16, 1 << 16) in stored.asked
    end = len(DATA) - 8
    assert source.copy(end, 8) == DATA[end:]
    assert (10 << 16, 1234) in stored.asked  # the last range ends with the object
    assert len(stored.asked) == len(set(stored.asked))
    source.close()
    assert stored.closed == 1
    assert list(tmp_path.iterdir()) == []


def test_an_object_smaller_than_a_range(tmp_path: Path) -> None:
    stored = Stored(b"abc")
    source = open_remote(stored, tmp_path)
    assert source.copy(0, 3) == b"abc"
    assert stored.asked == [(0, 1 << 16)]


def test_another_version_is_another_image(tmp_path: Path) -> None:
    """What is kept of an image (symbol names by identity) is never used for another version."""
    first, second = Stored(DATA), Stored(DATA)
    second.version = "v8"
    identities = {open_remote(stored, tmp_path).identity() for stored in (first, first, second)}
    assert len(identities) == 2


def test_it_is_closed_when_it_cannot_be_opened(tmp_path: Path) -> None:
    stored = Stored(DATA)
    stored.fail = RemoteError("s3://bucket/image: no answer")
    with pytest.raises(RemoteError, match="no answer"):
        open_remote(stored, tmp_path)
    assert stored.closed == 1


def test_an_object_that_is_replaced_meanwhile(tmp_path: Path) -> None:
    stored = Stored(DATA)
    source = open_remote(stored, tmp_path)
    stored.fail = ChangedImageError("s3://bucket/image: was replaced")
    with pytest.raises(ChangedImageError, match="was replaced"):
        source.copy(7 << 16, 8)
    stored.fail = None
    assert source.copy(7 << 16, 8) == DATA[7 << 16 :][:8]


def test_an_image(tmp_path: Path) -> None:
    """A LiME file read by ranges holds the same memory as the file."""
    stored = Stored(lime(THREE))
    with open_image("s3://bucket/image.lime", cache=tmp_path, reader=stored) as memory:
        for pa, data in THREE:
            assert hashlib.sha256(memory.read(pa, len(data))).digest() == hashlib.sha256(data).digest()
        assert memory.format == "LiME"
        assert memory.read(THREE[0][0] + PAGE, 8) == THREE[0][1][PAGE : PAGE + 8]
        assert stored.closed == 0
    assert stored.closed > 0
