# SPDX-License-Identifier: Apache-2.0
"""Layers of an init container and of a run before, which containerd still holds: collected, listed, in the tables."""

from __future__ import annotations

import os
from pathlib import Path

from memir.acquire.transports.local import LocalTransport
from memir.collect.run import CollectOptions, PodCollection
from memir.collect.target import by_uid
from memir.collected.layers import inode_rows
from memir.collected.rows import container_rows
from memir.collected.source import CollectedSource
from memir.evidence.verify import verify
from tests.collect import containerd
from tests.collect.podrig import SNAPSHOTS, PodRig

INIT, BEFORE, REMOVED = "1a" * 32, "2b" * 32, "3c" * 32


def test_layers_of_containers_that_have_ended(tmp_path: Path) -> None:
    rig = PodRig(tmp_path / "pod")
    rig.sandbox = "f" * 64  # behind REMOVED: a gap of several containers names the first
    try:
        rig.start()
        ended: dict[str, tuple[str, int | None, str]] = {
            INIT: ("wait", 3, "overlayfs"), BEFORE: ("web", 4, "overlayfs"),
        }  # fmt: skip
        containerd.write(rig.root / "var/lib/containerd", (rig.namespace, rig.name, rig.uid), ended)
        for number in (3, 4):
            (rig.root / f"{SNAPSHOTS[1:]}/{number}/fs/tmp").mkdir(parents=True)
        (rig.root / f"{SNAPSHOTS[1:]}/3/fs/tmp/dropper").write_bytes(b"#!/bin/sh\n")
        (rig.root / f"{SNAPSHOTS[1:]}/3/fs/tmp/dropper").chmod(0o755)
        os.mknod(rig.root / f"{SNAPSHOTS[1:]}/4/fs/passwd", 0o20000, os.makedev(0, 0))
        target = by_uid(rig.uid, f"{rig.namespace}/{rig.name}")
        asked = type(target)(target.pod, (REMOVED,), target.uid_on_node)
        evidence = tmp_path / "ev"
        options = CollectOptions(memory=False)
        receipt = PodCollection(LocalTransport(rig.root), asked, evidence, options).execute()
        assert rig.left() == []
    finally:
        rig.stop()
    layers = {layer["container_id"]: (layer["files"], layer["whiteouts"]) for layer in receipt["collection"]["layers"]}
    assert layers == {rig.container: (8, 1), INIT: (2, 0), BEFORE: (1, 1)}
    whys = {gap["where"]: gap["why"] for gap in receipt["collection"]["gaps"] if gap["kind"] == "root file system"}
    assert whys == {REMOVED: "it has ended, and containerd has removed it and its layer"}
    assert verify(evidence).problems == []
    source = CollectedSource(evidence)
    rows, keys = inode_rows(source)
    dropper = next(row for row in rows if row["container_path"] == "/tmp/dropper")
    assert (keys[rows.index(dropper)], dropper["mode"]) == (INIT, 0o755)
    names = {ident: source.owners.by("inode", [ident])[0][0].parts()[1] for ident in (INIT, BEFORE)}
    assert names == {INIT: "wait", BEFORE: "web"}, "by the record that containerd keeps"
    containers, idents = container_rows(source)
    row = containers[idents.index(INIT)]
    assert (row["processes"], row["overlay_upper"]) == (0, f"{SNAPSHOTS}/3/fs")
    assert row["overlay_lower"] == [f"{SNAPSHOTS}/1/fs"]
