# SPDX-License-Identifier: Apache-2.0
"""The folder: new files alone, the manifest also when the disk is full or the user stops."""

from __future__ import annotations

import hashlib
import json
import resource
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memir.errors import OutputError, UsageError
from memir.extract.output import MANIFEST, Output, plain, sha256_of


@pytest.fixture
def small_files() -> Iterator[None]:
    """The kernel lets no file of this process grow past 2 MiB: a real error of write()."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_what_is_written_is_listed(tmp_path: Path) -> None:
    place, done = Output(tmp_path / "a" / "b"), list[str]()
    with place.kept(done, 1, {"schema": 1}, "files"):
        assert place.write("x/y", [b"12", b"3"]) == hashlib.sha256(b"123").hexdigest()
        done.append("x/y")
    assert sha256_of(place.folder / "x" / "y") == hashlib.sha256(b"123").hexdigest()
    assert json.loads((place.folder / MANIFEST).read_text()) == {"schema": 1, "files": ["x/y"]}
    assert sorted(path.name for path in place.folder.iterdir()) == [MANIFEST, "x"]
    assert (place.folder / "x" / "y").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        place.write("x/y", [b""])
    with pytest.raises(UsageError, match="is not empty"):
        Output(place.folder)
    with pytest.raises(OutputError, match="Not a directory"):
        Output(place.folder / MANIFEST / "c")


def test_a_write_that_fails(tmp_path: Path, small_files: None) -> None:
    place, done = Output(tmp_path / "a"), list[str]()
    with (
        pytest.raises(OutputError, match=r"a: cannot be written on: File too large; 1 of 3 are done, kept and listed"),
        place.kept(done, 3, {}, "files"),
    ):
        place.write("one", [b"x" * 1000])
        done.append("one")
        place.write("two", [bytes(1 << 20)] * 3)
        done.append("two")
    assert sorted(path.name for path in place.folder.iterdir()) == [MANIFEST, "one"]
    assert json.loads((place.folder / MANIFEST).read_text()) == {"stopped": "File too large", "files": ["one"]}


def test_interrupted(tmp_path: Path) -> None:
    place, done = Output(tmp_path / "a"), ["one"]
    with pytest.raises(KeyboardInterrupt), place.kept(done, 2, {}, "files"):
        raise KeyboardInterrupt
    assert json.loads((place.folder / MANIFEST).read_text()) == {"stopped": "interrupted", "files": ["one"]}


def test_plain() -> None:
    assert plain(datetime(2026, 11, 23, tzinfo=UTC)) == "2026-11-23T00:00:00+00:00"
    assert (plain({"b", "a"}), plain(Path("/x"))) == (["a", "b"], "/x")
