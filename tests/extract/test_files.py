# SPDX-License-Identifier: Apache-2.0
"""Files out of real images: byte for byte as the recorder hashed them, holes said, errors clear."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

import memir
from memir.errors import OutputError, UsageError
from memir.extract.files import Extracted, Wanted, chosen, extract_files, write_files
from memir.extract.output import Output
from memir.node import Node
from tests.images import cache, case, cases

LOG = "67692c5b639bbf77b89d500631bd8566f2e0bfc7c6e140580b2e8a890f464958"  # as the recorder hashed it


@pytest.fixture(scope="module")
def node() -> Node:
    return memir.open(case("s-6.1-small").image, cache=cache())


def by_path(done: list[Extracted]) -> dict[str | None, Extracted]:
    return {entry.path: entry for entry in done}


def test_files_of_a_pod(node: Node, tmp_path: Path) -> None:
    done = by_path(extract_files(node, tmp_path / "out", Wanted(pod=("web-7d4b9c6f5-abcde",), path="/tmp/*")))
    log = done["/tmp/server.log"]
    assert (log.file, log.sha256, log.holes, log.size) == (
        "shop_web-7d4b9c6f5-abcde_web/upper/tmp/server.log", LOG, [], 18,
    )  # fmt: skip
    data = (tmp_path / "out" / str(log.file)).read_bytes()
    assert hashlib.sha256(data).hexdigest() == LOG
    assert (log.uid, log.mode, log.pod_name) == (1000, 0o644, "web-7d4b9c6f5-abcde")
    socket = done["/tmp/app.sock"]
    assert (socket.file, socket.why) == (None, "a socket is listed, not made")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["schema"] == 1 and {entry["path"] for entry in manifest["files"]} == set(done)


def test_what_a_process_runs_and_was_deleted(node: Node, tmp_path: Path) -> None:
    """The dropper's own process has it mapped; its copy in the image has the same bytes."""
    pid = next(row["pid"] for row in node["processes"] if row["exe"] == "/tmp/dropper")
    (entry,) = extract_files(node, tmp_path / "a", Wanted(pid=(pid,), deleted=True))
    data = (tmp_path / "a" / str(entry.file)).read_bytes()
    assert data[:4] == b"\x7fELF" and len(data) == entry.size == 776968
    assert hashlib.sha256(data).hexdigest() == entry.sha256
    assert entry.deleted and entry.path == "/tmp/dropper"


def test_tar(node: Node, tmp_path: Path) -> None:
    extract_files(node, tmp_path / "out", Wanted(container=("miner",)), tar=True)
    with tarfile.open(tmp_path / "out" / "dev_miner-0_miner.tar") as archive:
        member = archive.getmember("tmp/dropper")
        assert (member.size, member.mode, member.isfile()) == (776968, 0o755, True)
        stream = archive.extractfile(member)
        assert stream is not None and stream.read(4) == b"\x7fELF"
        assert not [name for name in archive.getnames() if name.startswith("/") or ".." in name.split("/")]
        special = {info.name: (info.type, info.linkname, info.devmajor, info.devminor)
                   for info in archive if not (info.isfile() or info.isdir())}  # fmt: skip
        assert special == {
            "tmp/.d": (tarfile.SYMTYPE, "/tmp", 0, 0), "tmpfs/dev/null": (tarfile.CHRTYPE, "", 1, 3)
        }  # fmt: skip


def test_the_top_of_a_layer_is_the_folder_of_its_name_in_a_tar(node: Node, tmp_path: Path) -> None:
    extract_files(node, tmp_path / "out", Wanted(path="/"), tar=True)
    with tarfile.open(tmp_path / "out" / "node.tar") as archive:
        assert {name.partition("~")[0] for name in archive.getnames()} == {
            "node", "tmpfs", "lower", "other", "node/dev", "tmpfs/run"  # the last two are mounted there
        }  # fmt: skip
        assert all(info.isdir() for info in archive)


def test_holes(tmp_path: Path) -> None:
    """The deleted miner of the lab's node: 750 of its 1,669 pages; the rest is told, in folder and tar."""
    name = next((name for name in cases() if name.startswith("node-")), None)
    if name is None:
        pytest.skip("no node of the lab")
    with memir.open(case(name).image, cache=cache()) as node:
        (entry,) = extract_files(node, tmp_path / "a", Wanted(path="*kworkerds", deleted=True))
        (packed,) = extract_files(node, tmp_path / "b", Wanted(path="*kworkerds", deleted=True), tar=True)
    assert entry.lacking == entry.size - 750 * 4096 and entry.sha256 is None and packed.holes == entry.holes
    data = (tmp_path / "a" / str(entry.file)).read_bytes()
    assert len(data) == entry.size and all(not any(data[start:end]) for start, end in entry.holes)
    archive, member = str(packed.file).split(":")
    with tarfile.open(tmp_path / "b" / archive) as tar:
        stream = tar.extractfile(member)
        assert stream is not None and stream.read() == data
        told = tar.getmember(member).pax_headers["MEMIR.not_in_ram"]
        assert told == ",".join(f"{start}-{end}" for start, end in entry.holes)


def test_errors(node: Node, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^there is no pod nobody: there are dev/miner-0, "):
        extract_files(node, tmp_path / "none", Wanted(pod=("nobody",)))
    with pytest.raises(UsageError, match=r"^no file in memory is what was asked for"):
        extract_files(node, tmp_path / "none", Wanted(pod=("miner-0",), path="/nowhere"))
    with pytest.raises(UsageError, match="there is no process 99999"):
        extract_files(node, tmp_path / "none", Wanted(pid=(99999,)))
    assert not (tmp_path / "none").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(UsageError, match="is not empty"):
        extract_files(node, tmp_path / "full", Wanted(path="/tmp/server.log"))
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        extract_files(node, tmp_path / "full" / "x" / "y", Wanted(path="/tmp/server.log"))


def test_rows_and_a_folder_of_ones_own(node: Node, tmp_path: Path) -> None:
    rows = chosen(node, Wanted(path="/tmp/server.log"))
    assert [(row["container_path"], row["layer"], row["size"]) for row in rows] == [("/tmp/server.log", "upper", 18)]
    (entry,) = write_files(node.source.kernel, Output(tmp_path / "out"), rows, below="rootfs")
    assert (entry.file, entry.sha256) == ("rootfs/upper/tmp/server.log", LOG)
    assert chosen(node, Wanted(path="/nowhere/*")) == []
