# SPDX-License-Identifier: Apache-2.0
"""What containers' mount namespaces show, and where it comes from on the node: as the recording has it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kube.mountpoints import mount_sources, node_paths
from memir.kube.ram import RamSource

NAME = "s-6.1-small"
SNAPSHOTS = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"


def test_overlays_and_their_places(node_of: Callable[[str], RamSource]) -> None:
    node = node_of(NAME)
    spaces = np.unique(node.processes.mnt_ns[node.processes.mnt_ns != 0])
    found = mount_sources(node.kernel, node.mounts, spaces, node.host_mnt_ns)
    assert node.host_mnt_ns not in found.root
    by_space = dict(zip(node.processes.mnt_ns.tolist(), node.identities, strict=True))
    names = {by_space[space].container_id: space for space in found.root}
    web = next(row for row in node.containers.values() if row.container_name == "web")
    space = names[web.container_id]
    assert found.root[space].upper == f"{SNAPSHOTS}/11/fs"
    assert found.root[space].lower == [f"{SNAPSHOTS}/3/fs", f"{SNAPSHOTS}/2/fs"]
    assert found.rootfs[space].endswith(f"/k8s.io/{web.container_id}/rootfs")
    assert found.rootfs[space] in found.sources[space]
    assert len(found.root) == len(node.containers)
    assert len(found.host) > 5


def test_nothing_without_namespaces(node_of: Callable[[str], RamSource]) -> None:
    node = node_of(NAME)
    found = mount_sources(node.kernel, node.mounts, np.zeros(0, np.uint64), node.host_mnt_ns)
    assert (found.sources, found.root, found.rootfs, len(found.host)) == ({}, {}, {}, 0)


def test_where_the_node_has_each_file_system(node_of: Callable[[str], RamSource]) -> None:
    node = node_of(NAME)
    paths = node_paths(node.mounts, node.sources.host)
    assert paths[node.mounts.known[int(node.sources.host[0])].superblock] == b""
    assert {b"/proc", b"/sys", b"/run"} <= set(paths.values())
