# SPDX-License-Identifier: Apache-2.0
"""Files of the evidence folder: written once, hashed, recorded, bounded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from memir.collect.folder import Folder
from memir.errors import StorageError
from memir.evidence.custody import Manifest


def test_files_are_private_and_recorded(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    folder = Folder(tmp_path, manifest)
    folder.add_json("api/pod.json", {"a": 1})
    file = folder.open("node/x/y")
    file.write(b"ab")
    file.write(b"c")
    assert file.close() == hashlib.sha256(b"abc").hexdigest()
    manifest.close()
    records = [json.loads(line) for line in (tmp_path / "manifest.jsonl").read_bytes().splitlines()]
    assert [(row["event"], row["name"], row["size"]) for row in records] == [
        ("file", "api/pod.json", 12), ("file", "node/x/y", 3),
    ]  # fmt: skip
    assert records[1]["sha256"] == hashlib.sha256((tmp_path / "node/x/y").read_bytes()).hexdigest()
    assert (tmp_path / "node/x/y").stat().st_mode & 0o777 == 0o600
    assert (folder.size, folder.names) == (15, ["api/pod.json", "node/x/y"])
    with pytest.raises(StorageError, match=r"node/x/y: cannot be written: File exists"):
        folder.open("node/x/y")


def test_no_more_than_was_allowed(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    folder = Folder(tmp_path, manifest, limit=4)
    with pytest.raises(StorageError, match=r"more than 4 bytes \(--max-size\): what arrived is kept"):
        folder.add("x", b"12345")
    assert folder.names == ["x"], "the file is recorded with what it has"
    manifest.close()
