# SPDX-License-Identifier: Apache-2.0
"""An evidence folder that may come from anyone: nothing in it is followed, everything is bounded."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from memir.errors import CustodyError
from memir.evidence import folder as evidence
from memir.evidence.folder import (
    cluster_of,
    entries,
    inside,
    is_evidence,
    open_file,
    read_file,
    read_manifest,
    require_private,
)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "e"
    (folder / "context").mkdir(parents=True)
    (folder / "manifest.jsonl").write_bytes(b"{}\n")
    (folder / "context/version").write_bytes(b"Linux\n")
    (folder / "link").symlink_to("manifest.jsonl")
    (folder / "out").symlink_to(tmp_path)
    os.mkfifo(folder / "fifo")
    return folder


def test_what_is_evidence(made: Path) -> None:
    assert is_evidence(made)
    assert not is_evidence(made / "manifest.jsonl")
    assert not is_evidence(made / "context")
    (made / "manifest.jsonl").rename(made / "other")
    (made / "manifest.jsonl").symlink_to("other")
    assert not is_evidence(made)
    with pytest.raises(CustodyError, match="is a link or leads out"):
        read_manifest(made)


def test_names(made: Path) -> None:
    assert inside(made, "context/version") == made / "context/version"
    assert inside(made, "not/there") == made / "not/there"
    for name in ("", "/etc/passwd", "../e/manifest.jsonl", "context/../manifest.jsonl", "a\0b", "link", "out/e/link"):
        assert inside(made, name) is None, name


def test_reading(made: Path) -> None:
    assert read_manifest(made) == b"{}\n"
    assert read_file(made, "context/version", 6) == b"Linux\n"
    with os.fdopen(open_file(made, "context/version"), "rb") as file:
        assert file.read() == b"Linux\n"
    with pytest.raises(CustodyError, match="larger than 5 bytes"):
        read_file(made, "context/version", 5)
    for name, words in (("link", "is a link"), ("fifo", "no regular file"), ("context", "no regular file")):
        with pytest.raises(CustodyError, match=words):
            open_file(made, name)
    with pytest.raises(FileNotFoundError):
        open_file(made, "none")
    with pytest.raises(CustodyError, match="is no evidence folder"):
        read_manifest(made / "context")


def test_entries(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"manifest.jsonl": "file", "context": "folder", "context/version": "file", "fifo": "other"}
    assert dict(entries(made)) == kinds | {"link": "link", "out": "link"}
    monkeypatch.setattr(evidence, "MAX_ENTRIES", 3)
    with pytest.raises(CustodyError, match="holds more than 3 files"):
        list(entries(made))


def test_the_cluster_s_folder(made: Path) -> None:
    assert cluster_of(made) is None
    (made / "cluster").mkdir()
    (made / "cluster/pods.json").write_text("{}")
    assert cluster_of(made) == made / "cluster"
    (made / "cluster/x").symlink_to("/etc/passwd")
    with pytest.raises(CustodyError, match="is a link or device"):
        cluster_of(made)
    (made / "cluster").rename(made / "c")
    (made / "cluster").symlink_to("c")
    with pytest.raises(CustodyError, match="is no folder but a link or file"):
        cluster_of(made)


def test_a_folder_for_ram_is_private(made: Path) -> None:
    made.chmod(0o700)
    require_private(made)
    made.chmod(0o750)
    with pytest.raises(CustodyError, match=r"mode 750.*`chmod 700 "):
        require_private(made)


def test_the_chmod_that_is_named_helps(tmp_path: Path) -> None:
    folder = tmp_path / "case 7; it's"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(CustodyError) as caught:
        require_private(folder)
    subprocess.run(["sh", "-c", str(caught.value).split("`")[1]], check=True)
    require_private(folder)
