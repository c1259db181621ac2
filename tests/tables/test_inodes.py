# SPDX-License-Identifier: Apache-2.0
"""Files of upper layers with the hashes and sizes that the recorder took; executables hash as their files do."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memir.collected.source import CollectedSource
from memir.kernel.filemap import PAGE
from memir.kube.ram import RamSource
from memir.tables import inodes
from memir.tables.inodes import TABLE, read, read_collected
from tests.collected.made import ID, folder
from tests.images import case
from tests.kernel import held
from tests.lab.held import page

NodeOf = Callable[[str], RamSource]
SMALL = ("s-5.10-small-v1", "s-6.1-small", "s-7.2-small-la57", "arm64-6.12-small-lpa2")
EMPTY = hashlib.sha256(b"").hexdigest()


def test_upper_layers_hash_as_recorded(image: str, node_of: NodeOf) -> None:
    """Every file of the recording, path, size and SHA-256; the other way round no other that still has a name."""
    rows = TABLE.read(node_of(image)).rows()
    recorded = {(entry["file"], entry["size"], entry["sha256"]) for entry in case(image).raw_truth().get("upper", ())}
    if not recorded:
        pytest.skip("the recording lists no upper layers")
    shown = {
        (row["node_path"], row["size"], row["sha256"] or (EMPTY if row["size"] == 0 else None))
        for row in rows
        if row["layer"] == "upper" and row["kind"] == "regular" and not row["deleted"]
        and re.search(r"/snapshots/[123][0-9]/fs/", row["node_path"] or "")
    }  # fmt: skip
    assert shown == recorded


@pytest.mark.parametrize("name", SMALL)
def test_what_the_intruder_left(name: str, node_of: NodeOf) -> None:
    """The deleted dropper, whole in RAM, whose hash is that of the file it was copied from and still runs."""
    rows = TABLE.read(node_of(name)).rows()
    news = {
        row["container_path"]: row
        for row in rows
        if row["layer"] == "upper" and row["noise"] is None and row["kind"] != "directory"
    }
    assert set(news) == {"/tmp/server.log", "/tmp/app.sock", "/tmp/dropper", "/tmp/.d"}
    dropper = news["/tmp/dropper"]
    assert (dropper["pod_name"], dropper["container_name"]) == ("miner-0", "miner")
    assert (dropper["deleted"], dropper["freed"], dropper["change"], dropper["mode"]) == (True, False, "created", 0o755)
    assert dropper["cached"] == dropper["dirty"] == -(-dropper["size"] // PAGE) * PAGE
    # it is a copy of the program that the recording's other containers run from their images
    same = [row for row in rows if row["sha256"] == dropper["sha256"] and row["address"] != dropper["address"]]
    assert same and {row["size"] for row in same} == {dropper["size"]}
    assert (news["/tmp/.d"]["kind"], news["/tmp/.d"]["size"]) == ("symlink", 4)
    assert (news["/tmp/app.sock"]["kind"], news["/tmp/app.sock"]["pod_name"]) == ("socket", "web-7d4b9c6f5-abcde")


def test_a_kubernetes_node(node_of: NodeOf, image: str) -> None:
    """The deleted miner: partly there, so without a hash; logs that were copied up; what nginx made."""
    if not image.startswith("node-"):
        pytest.skip("no node of the lab")
    rows = TABLE.read(node_of(image)).rows()
    news = {(row["pod_name"], row["container_path"]): row for row in rows
            if row["layer"] == "upper" and row["noise"] is None}  # fmt: skip
    miner = next(row for (_, path), row in news.items() if path == "/tmp/.x/kworkerds")
    assert (miner["size"], miner["cached"], miner["sha256"], miner["deleted"]) == (6834488, 750 * PAGE, None, True)
    assert (miner["container_name"], miner["change"], miner["mode"]) == ("api", "created", 0o755)
    assert miner["btime"] <= miner["mtime"] == datetime(2026, 11, 23, 22, 27, 43, 228000, UTC)
    changed = {path for (_, path), row in news.items() if row["change"] == "modified"}
    assert changed == {"/var/log/nginx/access.log", "/var/log/nginx/error.log"}
    assert {row["change"] for row in news.values()} == {"created", "modified"}
    assert len({row["device"] for row in rows if row["fstype"] == "ext4"}) == 1
    volumes = [row for row in rows if row["layer"] == "volume"]
    assert volumes and all("/var/lib/kubelet/pods/" in row["node_path"] for row in volumes)


@pytest.mark.parametrize("name", ["s-6.1-small", "s-5.10-small-v1"])
def test_columns_that_every_row_has(name: str, node_of: NodeOf) -> None:
    frame = read(node_of(name))
    rows = TABLE.typed(TABLE.read(node_of(name))).rows()
    order = [(row["superblock"], row["inode"], row["address"]) for row in rows]
    assert order == sorted(order) and len({row["address"] for row in rows}) == len(rows) == len(frame)
    for row in rows:
        assert row["kind"] and row["fstype"] and row["device"] and row["seen_by"] and row["mode"] < 0o10000
        assert 0 <= row["dirty"] <= row["cached"] and (row["path"] or "/").startswith("/")
        assert row["deleted"] == (row["nlink"] == 0) and (row["change"] is None or row["layer"] == "upper")


def test_files_of_a_tmpfs_whose_pages_are_all_in_swap() -> None:
    """Truth: 32 pages each that the guest wrote, which zram has packed by three compressors; none is cached."""
    rows = {row["path"]: row for row in TABLE.read(held.node()).rows() if (row["path"] or "").endswith(".swapped")}
    assert set(rows) == {f"/{name}.swapped" for name in held.swapped()} and len(rows) == 3
    for name, record in held.swapped().items():
        row = rows[f"/{name}.swapped"]
        wanted = hashlib.sha256(b"".join(page(name, number) for number in range(record["file_pages"]))).hexdigest()
        assert (row["cached"], row["size"], row["sha256"]) == (0, record["file_pages"] * PAGE, wanted)


def test_no_more_is_hashed_than_the_limit(node_of: NodeOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers' own files first; what is left out is counted."""
    node = node_of("s-6.1-small")
    before: list[Any] = [row["sha256"] for row in TABLE.read(node).rows()]
    monkeypatch.setattr(inodes, "MAX_HASHED", 800_000)
    rows = TABLE.read(node).rows()
    hashed = [row for row in rows if row["sha256"]]
    assert {"/tmp/dropper", "/tmp/server.log"} <= {row["container_path"] for row in hashed}
    assert sum(row["size"] for row in hashed) <= 800_000
    gap = next(gap for gap in node.gaps if gap.kind == "sha256")
    assert (gap.count, gap.why) == (
        sum(value is not None for value in before) - len(hashed),
        "of what is whole more than 0 MiB",
    )


def test_of_a_collected_pod(tmp_path: Path) -> None:
    path = folder(tmp_path / "ev")
    layer = path / "node/containers" / ID
    layer.mkdir(parents=True)
    (layer / "upper.tar").touch()
    entries = [
        {"layer": "upper", "version": 1},
        {"path": "/tmp/x", "type": "file", "size": 2, "mode": "0755", "origin": "none", "mtime": 1_795_000_000.5,
         "sha256": "ab" * 32},
    ]  # fmt: skip
    (layer / "upper.files.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    source = CollectedSource(path)
    assert read_collected(source)["container_path"] == ["/tmp/x"]
    (row,) = TABLE.read(source).to_arrow().to_pylist()
    assert (row["change"], row["layer"], row["sha256"], row["address"]) == ("created", "upper", "ab" * 32, None)
    assert (row["container_name"], row["pod_name"], row["mtime"].timestamp()) == ("web", "web-1", 1_795_000_000.5)
