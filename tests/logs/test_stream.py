# SPDX-License-Identifier: Apache-2.0
"""Files and folders of logs, packed and not."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest
import zstandard

from memir.errors import LogsError
from memir.logs.stream import Stream, log_files

TEXT = b"one line\n" * 500_000


def test_log_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/2.log", "a/1.log", "a/b/3"):
        (tmp_path / name).write_text("x")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "a" / "2.log")
    inside = [tmp_path / "a" / "1.log", tmp_path / "a" / "2.log", tmp_path / "a" / "b" / "3"]
    assert log_files([tmp_path / "a"]) == inside
    assert log_files([inside[1], tmp_path / "a"]) == [inside[1], inside[0], inside[2]]


def test_the_record_of_fetch_logs_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("x")
    (tmp_path / "fetch.json").write_text('{\n "written_by": "memir fetch-logs",\n "schema": 1}')
    assert log_files([tmp_path]) == [tmp_path / "a.log"]
    (tmp_path / "fetch.json").write_text('{"kind": "Event"}')  # named like it, and a log
    assert log_files([tmp_path]) == [tmp_path / "a.log", tmp_path / "fetch.json"]


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LogsError, match="there is no such file or folder"):
        log_files([tmp_path / "absent"])
    with pytest.raises(LogsError, match="no file in it"):
        log_files([tmp_path])


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_unpacked_by_content(tmp_path: Path, pack: object) -> None:
    data = pack(TEXT)  # type: ignore[operator]  # each is called with bytes
    path = tmp_path / "misnamed.txt"
    path.write_bytes(data)
    stream = Stream(path)
    assert b"".join(stream) == TEXT
    assert stream.torn is None
    assert stream.sha256 == hashlib.sha256(data).hexdigest()


def test_several_members(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"a\n") + gzip.compress(b"b\n") + bytes(512))
    assert b"".join(Stream(path)) == b"a\nb\n"
    path.write_bytes(zstandard.compress(b"a\n") + zstandard.compress(b"b\n"))
    assert b"".join(Stream(path)) == b"a\nb\n"


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_torn(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "log"
    data = pack(TEXT)  # type: ignore[operator]  # each is called with bytes
    path.write_bytes(data[: len(data) // 2])
    stream = Stream(path)
    assert TEXT.startswith(b"".join(stream))
    assert stream.torn is not None
    assert stream.torn.endswith("its end is missing")
    path.write_bytes(data[:30] + b"\xff" * 40 + data[70:])
    stream = Stream(path)
    list(stream)
    assert stream.torn is not None
    assert stream.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
