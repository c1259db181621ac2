# SPDX-License-Identifier: Apache-2.0
"""The node's stream received; a node that is hostile, and a stream that is cut at every byte."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest

from memir.collect import stream
from memir.collect.folder import Folder
from memir.collect.node.frames import Frames
from memir.collect.node.layer import Layer
from memir.collect.stream import MAGIC, Received, receive
from memir.errors import ConnectError, NodeError
from memir.evidence.custody import Manifest


def sent() -> bytes:
    out = io.BytesIO()
    frames = Frames(out)
    frames.file("node/a", b"alpha")
    frames.file("clear/memory/1.core", bytes(3000), "2 bytes were gone")
    frames.gap("file", "/x", "gone", True)
    frames.end({"processes": 1})
    return out.getvalue()


def take(folder: Path, data: bytes) -> tuple[Received, Folder]:
    folder.mkdir()
    manifest = Manifest(folder)
    received, kept = Received(), Folder(folder, manifest)
    try:
        receive(io.BytesIO(data), kept, received, lambda _size, _name: None)
    finally:
        manifest.close()
    return received, kept


def test_files_facts_and_gaps(tmp_path: Path) -> None:
    received, folder = take(tmp_path / "ev", sent())
    assert (received.files, received.sent, received.facts) == (2, 2, {"processes": 1})
    assert (tmp_path / "ev/node/a").read_bytes() == b"alpha"
    assert [(gap.kind, gap.where, gap.why, gap.missing) for gap in received.gaps] == [
        ("file", "clear/memory/1.core", "2 bytes were gone", False), ("file", "/x", "gone", True),
    ]  # fmt: skip
    assert folder.names == ["node/a", "clear/memory/1.core"]


def test_cut_anywhere_what_came_is_kept_and_said(tmp_path: Path) -> None:
    data = sent()
    for number, size in enumerate([0, 5, *range(len(MAGIC), len(data), 211), len(data) - 1]):
        folder = tmp_path / str(number)
        folder.mkdir()
        manifest = Manifest(folder)
        received, kept = Received(), Folder(folder, manifest)
        with pytest.raises(ConnectError, match="the stream ended before the collector did"):
            receive(io.BytesIO(data[:size]), kept, received, lambda _size, _name: None)
        manifest.close()
        assert received.sent is None
        there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        assert there == sorted([*kept.names, "manifest.jsonl"]), "every file is recorded, also one that was cut"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n", MAGIC + b"x\n", MAGIC + b"[]\n", MAGIC + b'{"name":"../../etc/passwd"}\n',
        MAGIC + b'{"name":"node/../x"}\n', MAGIC + b'{"name":"receipt.json"}\n', MAGIC + b'{"name":"node/.x"}\n',
        MAGIC + b'{"name":7}\n', MAGIC + b'{"name":"node/a"}\n\xff\xff\xff\xff', MAGIC + b"{" * (17 << 20),
        MAGIC + b'{"name":"node/a"}\n\0\0\0\0nothing\n',
    ],
)  # fmt: skip
def test_what_no_collector_sends(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(NodeError):
        take(tmp_path / "ev", data)
    assert not (tmp_path / "etc").exists()


def test_a_hash_that_is_not_the_nodes_is_missing(tmp_path: Path) -> None:
    received, _ = take(tmp_path / "ev", sent().replace(b"alpha", b"alphA"))
    assert received.gaps[0].missing
    assert received.gaps[0].why.startswith("the node sent 5 bytes of SHA-256 ")
    end = {"end": "7", "gaps": [{"count": -4, "kind": None}, 3], "facts": 1}
    odd, _ = take(tmp_path / "odd", MAGIC + json.dumps(end).encode() + b"\n")
    assert (odd.sent, odd.facts, odd.gaps[0].count, odd.gaps[0].kind) == (None, {}, 1, "")


def test_layers_are_listed_while_they_come(tmp_path: Path) -> None:
    place = tmp_path / "layer"
    place.mkdir()
    (place / "made").write_bytes(b"x" * (2 << 20))
    out = io.BytesIO()
    frames = Frames(out)
    Layer(frames, True).write(str(place), "node/containers/c1/upper.tar")
    frames.file("node/containers/c2/rootfs.tar", b"no tar" * 100)
    frames.end({})
    received, folder = take(tmp_path / "ev", out.getvalue())
    first, second = received.layers
    rows = [json.loads(line) for line in (tmp_path / "ev" / first.list).read_bytes().splitlines()]
    assert rows[1]["sha256"] == hashlib.sha256(b"x" * (2 << 20)).hexdigest()
    assert (first.container_id, first.kind, first.files, first.problem) == ("c1", "upper", 1, "")
    assert first.sha256 == hashlib.sha256((tmp_path / "ev" / first.list).read_bytes()).hexdigest()
    assert (second.kind, second.files) == ("rootfs", 0)
    assert [(gap.kind, gap.where, gap.missing) for gap in received.gaps] == [("layer", second.tar, True)]
    assert "no header of a tar" in received.gaps[0].why
    assert (received.files, set(folder.names)) == (2, {first.tar, first.list, second.tar, second.list})


def test_a_list_that_the_node_sends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NodeError, match="which no collector"):
        take(tmp_path / "ev", MAGIC + b'{"name":"node/containers/c/upper.files.jsonl"}\n')
    monkeypatch.setattr(stream, "MAX_LAYERS", 0)
    with pytest.raises(NodeError, match="more than 0 layers"):
        take(tmp_path / "ev2", MAGIC + b'{"name":"node/containers/c/upper.tar"}\n')
