# SPDX-License-Identifier: Apache-2.0
"""Rows of inodes from a real overlay's list, against the files themselves; a list that was planted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from memir.collected.layers import inode_rows
from memir.collected.source import CollectedSource
from tests.collect.podrig import SNAPSHOTS, PodRig
from tests.collected.made import ID, folder


def test_what_a_container_changed(collected: Path, rig: PodRig) -> None:
    rows, keys = inode_rows(CollectedSource(collected))
    assert set(keys) == {rig.container}
    by = {row["container_path"]: row for row in rows}
    assert {path: (row["kind"], row["change"]) for path, row in by.items()} == {
        "/etc": ("directory", "modified"), "/etc/changed": ("regular", "modified"), "/etc/gone": ("char", "whiteout"),
        "/made.txt": ("regular", "created"), "/srv": ("directory", "modified"), "/srv/link": ("symlink", "created"),
        "/srv/old": ("directory", "opaque"), "/srv/old/new": ("regular", "created"), "/tmp": ("directory", "modified"),
    }  # fmt: skip
    changed = by["/etc/changed"]
    real = Path(f"{rig.root}{SNAPSHOTS}/2/fs/etc/changed")
    assert changed["node_path"] == f"{SNAPSHOTS}/2/fs/etc/changed"
    assert changed["sha256"] == hashlib.sha256(real.read_bytes()).hexdigest()
    assert abs(changed["mtime"] - real.stat().st_mtime_ns / 1000) < 2
    assert (changed["size"], changed["mode"], changed["layer"]) == (8, real.stat().st_mode & 0o7777, "upper")
    assert {path for path, row in by.items() if row["noise"] is None} == {
        "/etc/changed", "/etc/gone", "/made.txt", "/srv/link", "/srv/old", "/srv/old/new",
    }  # fmt: skip
    number = int(changed["source"].rpartition(" ")[2])
    line = (collected / f"node/containers/{rig.container}/upper.files.jsonl").read_text().splitlines()[number - 1]
    assert json.loads(line)["path"] == "/etc/changed", "the row says which line proves it"


def test_lists_that_are_odd_and_files_that_shrank(tmp_path: Path) -> None:
    path = folder(tmp_path / "ev")
    layers = path / "node/containers"
    entries = [
        {"layer": "rootfs", "version": 1}, {"path": "/short", "type": "file", "size": 4, "sha256": "ab" * 32},
        {"path": "/twin", "type": "hardlink", "target": "/short", "mode": "9"}, {"path": "/d", "type": "directory"},
        {"path": "/t", "type": "file", "size": 4, "sha256": "cd" * 32, "mode": "0755", "mtime": 1e300, "uid": -1},
        {"path": "/u", "type": "hardlink", "target": "/t"}, [], {"path": 7, "type": "file"},
    ]  # fmt: skip
    for name in (f"{ID}/rootfs.tar", "older/upper.tar"):
        (layers / name).parent.mkdir(parents=True, exist_ok=True)
        (layers / name).touch()
    (layers / ID / "rootfs.files.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries) + "x\n")
    told = {"files": {f"node/containers/{ID}/rootfs.tar": {"filled": ["/short"]}}}
    (path / "node/collector.json").write_text(json.dumps(told))
    source = CollectedSource(path)
    rows, keys = inode_rows(source)
    assert [(row["container_path"], row["kind"], row["sha256"], row["size"]) for row in rows] == [
        ("/short", "regular", None, 4), ("/twin", "regular", None, 4), ("/d", "directory", None, None),
        ("/t", "regular", "cd" * 32, 4), ("/u", "regular", "cd" * 32, 4),
    ]  # fmt: skip
    assert {row["layer"] for row in rows} == {"merged"}
    assert (rows[1]["mode"], rows[3]["mode"], rows[3]["mtime"], rows[3]["uid"]) == (None, 0o755, None, None)
    assert keys == [ID] * 5
    counted = {gap.why: gap.count for gap in source.gaps if gap.kind == "layer"}
    assert counted == {"is no entry of a list": 3, "no list of its files: collected by a memir that made none": 1}
