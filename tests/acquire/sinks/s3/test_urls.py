# SPDX-License-Identifier: Apache-2.0
"""Requests for URLs answered by commands and through the bucket, the uploader's side done by hand."""

from __future__ import annotations

import hashlib
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.facts import NodeRun
from memir.acquire.sinks.s3.upload import S3Upload
from memir.acquire.sinks.s3.urls import UrlSigner
from memir.acquire.transports.base import Result
from memir.acquire.transports.local import LocalTransport
from memir.errors import ConnectError, StorageError
from memir.evidence.progress import Progress
from tests.acquire.rigs.s3shim import Shim
from tests.acquire.rigs.wait import BOUND, until
from tests.acquire.sinks.s3.test_mailbox import put as put_letter
from tests.acquire.sinks.s3.test_upload import DATA, FIVE, PIECES, SHA, begun, put


class Lost(LocalTransport):
    """This machine, behind a connection that is lost for the first `times` commands."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def run(self, script: str, **options: Any) -> Result:
        self.times -= 1
        if self.times >= 0:
            raise ConnectError("the connection was lost")
        return super().run(script, **options)


@pytest.fixture
def upload(s3: Any, bucket: str, shim: Shim) -> S3Upload:
    return begun(s3, bucket, shim)


def make(upload: S3Upload, folder: Path, transport: LocalTransport | None = None) -> tuple[UrlSigner, list[Progress]]:
    reported: list[Progress] = []
    run = NodeRun("r1", str(folder))
    return UrlSigner(upload, transport or LocalTransport(), run, threading.Event(), reported.append), reported


@contextmanager
def working(signer: UrlSigner, answer: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield
    signer.stop.set()
    thread.join(BOUND)
    assert not thread.is_alive()


def granted(folder: Path, count: int) -> list[str]:
    """At least so many lines of grants, in the order of their files; the files' numbers may leave some out."""

    def lines() -> list[str]:
        paths = [path for path in folder.glob("grants.*") if path.suffix[1:].isdigit()]
        return [
            line
            for path in sorted(paths, key=lambda path: int(path.suffix[1:]))
            for line in path.read_text().splitlines()
        ]

    until(lambda: len(lines()) >= count, lambda: f"{lines()}")
    return lines()


def test_by_commands(upload: S3Upload, tmp_path: Path) -> None:
    """Each request is answered once, in files in order; a connection that was lost is used again, and said."""
    signer, _ = make(upload, tmp_path, Lost(1))
    with working(signer, signer.through_commands):
        (tmp_path / "want").write_text(f"1 {FIVE} {SHA[0]} 0\nhostile\n2 99 {SHA[1]} 0\n3 1")
        first, second = granted(tmp_path, 2)
        with (tmp_path / "want").open("a") as want:
            want.write(f" {SHA[1]} 0\n")
        third = granted(tmp_path, 3)[2]
    assert [line.split(" ")[:2] for line in (first, second, third)] == [["1", "0"], ["2", "0"], ["3", "0"]]
    assert put(second.split(" ")[2], PIECES[1], SHA[1])
    assert {number: part.size for number, part in upload.held().items()} == {2: 99}
    assert upload.errors == ["the connection was lost"]
    assert (tmp_path / "alive").exists()


def test_by_commands_before_there_is_a_directory(upload: S3Upload, tmp_path: Path) -> None:
    signer, _ = make(upload, tmp_path / "later")
    with working(signer, signer.through_commands):
        signer.stop.wait(0.2)
        (tmp_path / "later").mkdir()
        (tmp_path / "later/want").write_text(f"1 {FIVE} {SHA[0]} 0\n")
        assert granted(tmp_path / "later", 1)[0].startswith("1 0 http")
    assert upload.errors == []


@pytest.mark.parametrize("lost", [0, 1])
def test_through_the_bucket(upload: S3Upload, tmp_path: Path, s3: Any, bucket: str, lost: int) -> None:
    """The first slot goes by a command, tried again if the connection is lost; all else are objects, removed after."""
    signer, _ = make(upload, tmp_path, Lost(lost))
    with working(signer, signer.through_bucket):
        (line,) = granted(tmp_path, 1)
        word, slot, want, grant = line.split(" ")
        assert (word, slot) == ("M", "0")
        put_letter(want, f"W 1 {FIVE} {SHA[0]} 0\nD nothing".encode())
        key = "case/.memir-r1/0.grant"
        until(lambda: s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 1, lambda: f"no {key}")
        with urllib.request.urlopen(grant) as answer:
            url, following = answer.read().decode().splitlines()
        assert (url.split(" ")[:2], following.split(" ")[:2]) == (["1", "0"], ["M", "1"])
    assert put(url.split(" ")[2], PIECES[0], hashlib.sha256(DATA[:FIVE]).hexdigest())
    assert upload.errors == ["the connection was lost"] * lost
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_mailbox_that_was_taken_over_needs_no_command(
    upload: S3Upload, tmp_path: Path, s3: Any, bucket: str
) -> None:  # fmt: skip
    upload.adopted = True
    s3.put_object(Bucket=bucket, Key="case/.memir-r1/4.grant", Body=b"")
    s3.put_object(Bucket=bucket, Key="case/.memir-r1/5.want", Body=f"W 2 99 {SHA[1]} 0".encode())
    signer, _ = make(upload, tmp_path, Lost(1000))
    with working(signer, signer.through_bucket):
        key = "case/.memir-r1/5.grant"
        until(lambda: s3.list_objects_v2(Bucket=bucket, Prefix=key)["KeyCount"] == 1, lambda: f"no {key}")
        text = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    assert [line.split(" ")[:2] for line in text.splitlines()] == [["2", "0"], ["M", "6"]]
    assert upload.errors == []


def test_a_node_that_does_not_take_the_first_url(
    upload: S3Upload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    signer, _ = make(upload, tmp_path / "nowhere")
    # the pauses between the four attempts
    monkeypatch.setattr(signer.stop, "wait", lambda _: False)
    with pytest.raises(StorageError, match="the node did not take the first URL"):
        signer.through_bucket()


def test_report_progress(upload: S3Upload, tmp_path: Path, shim: Shim) -> None:
    signer, reported = make(upload, tmp_path)
    assert put(upload.sign(2, 99, SHA[1]), PIECES[1], SHA[1])
    signer.report_progress()
    assert reported == []
    signer._last -= 3
    signer._first -= 3
    signer.report_progress()
    (progress,) = reported
    assert (progress.done, progress.expected, progress.phase) == (99, 2 * FIVE, "upload")
    assert 0 < progress.rate < 34
    signer._last -= 3
    shim.deny.add("s3:ListMultipartUploadParts")
    signer.report_progress()
    assert (len(reported), len(upload.errors)) == (1, 1)
