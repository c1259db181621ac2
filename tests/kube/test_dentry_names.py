# SPDX-License-Identifier: Apache-2.0
"""Names of files: each on its own file system, with the path that the node and its container show for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from memir.kernel import fs
from memir.kube.dentry_names import names, superblocks
from memir.kube.ram import RamSource
from tests.images import case

NodeOf = Callable[[str], RamSource]


def test_superblocks_and_names(image: str, node_of: NodeOf) -> None:
    """Every device of the recorded mounts has its superblock; each name's inode lies on its own file system."""
    node = node_of(image)
    blocks = superblocks(node)
    devices = set(fs.devices(node.kernel, blocks))
    raw: Any = case(image).raw_truth()
    lines = [" - ".join(line) for rows in raw["mounts"].values() for line in rows] if "mounts" in raw else [
        line for process in raw["proc"] for line in (process.get("mountinfo") or "").splitlines()]  # fmt: skip
    assert {line.split(" ")[2] for line in lines} <= devices
    known = names(node, blocks)
    of = node.kernel.pointer(known.inode[known.positive], "inode", "i_sb")
    assert (of == known.superblock[known.positive]).all()
    assert not (known.positive & known.negative).any() and (known.inode[known.negative] == 0).all()
    assert (known.layer < len(known.dentry)).all() and ((known.place >= 0) >= (known.layer >= 0)).all()


def test_paths_of_a_containers_file(node_of: NodeOf) -> None:
    """One file of the intruder's container, in its layer and as the overlay shows it; a slice is what its rows are."""
    known = node_of("s-6.12-intruded").inodes.names
    paths = list(zip(known.path, known.on_node, known.inside, strict=True))
    layer = b"/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/21/fs"
    stored, shown = sorted((row for row in paths if row[2] == b"/tmp/dropper"), key=lambda row: row[0] == row[2])
    assert stored == (layer + b"/tmp/dropper", layer + b"/tmp/dropper", b"/tmp/dropper")
    assert shown[0] == b"/tmp/dropper" and shown[1] is not None
    root = shown[1].removesuffix(b"/tmp/dropper")
    assert re.fullmatch(rb"/run/containerd/io\.containerd\.runtime\.v2\.task/k8s\.io/[0-9a-f]{64}/rootfs", root)
    assert (b"/", root, b"/") in paths
    assert known.on_node[:50] == [row[1] for row in paths[:50]] and len(known.on_node) == len(paths)
    assert known.on_node[-1] == paths[-1][1]
    assert not [row for row in paths if row[1] is not None and not row[0]]
