# SPDX-License-Identifier: Apache-2.0
"""Recorded files against what is there: in the folder, in a store, in someone else's."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memir.errors import AccessError, StorageError
from memir.evidence.files import check_files, check_names
from memir.evidence.findings import Findings
from memir.evidence.progress import Progress
from memir.evidence.records import File

WHERE = "s3://ours/run"


class Store:
    """Objects in memory, by address and version."""

    def __init__(self, objects: Mapping[str, bytes], *, listed: bool = True) -> None:
        self.objects, self.listed = objects, listed
        self.asked: list[tuple[str, str]] = []

    @contextmanager
    def open(self, where: str, version: str) -> Iterator[io.BytesIO]:
        self.asked.append((where, version))
        if where not in self.objects:
            raise StorageError(f"{where}: there is no such object in the bucket")
        yield io.BytesIO(self.objects[where])

    def facts(self, where: str, version: str) -> Mapping[str, Any]:
        return {}

    def names(self, where: str) -> Iterator[str]:
        if not self.listed:
            raise AccessError("s3:ListBucket is denied")
        yield from (name.removeprefix(f"{where}/") for name in self.objects if name.startswith(f"{where}/"))


def record(name: str, data: bytes, where: str = WHERE) -> File:
    stored = {"where": f"{where}/{name}", "VersionId": "v1"} if where else {}
    return File(name, len(data), hashlib.sha256(data).hexdigest(), stored)


def check(folder: Path, files: list[File], where: str, store: Store | None) -> tuple[int, dict[str, str], list[int]]:
    findings, steps = Findings(str(folder)), list[Progress]()
    unread = check_files(folder, files, where, store, findings, steps.append)
    return unread, {problem.where: problem.what for problem in findings.problems}, [step.done for step in steps]


def test_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "long").write_bytes(b"12")
    (tmp_path / "other").write_bytes(b"x")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "pipe").mkdir()
    files = [record(name, b"1", "") for name in ("a", "long", "other", "link", "../a", "pipe", "gone")]
    unread, problems, _ = check(tmp_path, files, "", None)
    assert unread == 0
    assert problems == {
        "long": "has 2 bytes, recorded are 1",
        "other": f"has SHA-256 {hashlib.sha256(b'x').hexdigest()}, recorded is {hashlib.sha256(b'1').hexdigest()}",
        "link": "is a name that leads out of the folder, or a link",
        "../a": "is a name that leads out of the folder, or a link",
        "pipe": f"{tmp_path / 'pipe'} is no regular file: refused",
        "gone": "is missing",
    }


def test_in_a_store(tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"1")
    files = [record("here", b"1"), record("node/a", b"22"), record("node/b", b"3"), record("node/c", b"4")]
    store = Store({f"{WHERE}/node/a": b"22", f"{WHERE}/node/b": b"33"})
    assert check(tmp_path, files, WHERE, None) == (3, {}, [])
    unread, problems, steps = check(tmp_path, files, WHERE, store)
    assert (unread, steps) == (0, [2, 4])
    assert store.asked[0] == (f"{WHERE}/node/a", "v1"), "the recorded version"
    assert problems == {
        "node/b": "has 2 bytes, recorded are 1",
        "node/c": f"cannot be read in the store: {WHERE}/node/c: there is no such object in the bucket",
    }


def test_a_record_that_names_another_place_is_not_followed(tmp_path: Path) -> None:
    store = Store({"s3://theirs/x/a": b"1"})
    unread, problems, _ = check(tmp_path, [record("a", b"1", "s3://theirs/x"), record("b", b"1", "")], WHERE, store)
    assert (unread, store.asked) == (0, [])
    assert problems == {"a": f"is recorded at s3://theirs/x/a, not below {WHERE}", "b": "is missing"}


def test_names_that_no_record_has() -> None:
    store = Store({f"{WHERE}/a": b"", f"{WHERE}/planted": b"", "s3://ours/run-2/a": b""})
    findings = Findings("x")
    check_names(WHERE, {"a"}, store, findings)
    assert [(each.where, each.what) for each in findings.problems] == [
        (f"{WHERE}/planted", "is not in the manifest")
    ]  # fmt: skip
    silent = Findings("x")
    check_names(WHERE, {"a"}, Store({}, listed=False), silent)
    assert (silent.problems, silent.notes) == (
        [], [f"what else is at {WHERE} was not looked for: s3:ListBucket is denied"]
    )  # fmt: skip
