# SPDX-License-Identifier: Apache-2.0
"""What containers' mount namespaces show, and where it comes from on the node: as the recording has it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kube.mountpoints import mounts_by_namespace, node_paths, root_filesystems
from memir.kube.ram import RamSource

NAME = "s-6.1-small"
SNAPSHOTS = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"


def test_overlays_and_their_places(node_of: Callable[[str], RamSource]) -> None:
    node = node_of(NAME)
    spaces = np.unique(node.processes.mnt_ns[node.processes.mnt_ns != 0])
    every = mounts_by_namespace(node.kernel, node.mounts, spaces)
    assert sorted(set(every.space.tolist())) == spaces.tolist()
    roots = root_filesystems(node.kernel, node.mounts, every, node.host_mnt_ns)
    assert node.host_mnt_ns not in roots
    by_space = dict(zip(node.processes.mnt_ns.tolist(), node.identities, strict=True))
    names = {by_space[space].container_id: space for space in roots}
    web = next(row for row in node.containers.values() if row.container_name == "web")
    space = names[web.container_id]
    assert roots[space].layers.upper == f"{SNAPSHOTS}/11/fs"
    assert roots[space].layers.lower == [f"{SNAPSHOTS}/3/fs", f"{SNAPSHOTS}/2/fs"]
    assert (roots[space].path or "").endswith(f"/k8s.io/{web.container_id}/rootfs")
    assert len(roots) == len(node.containers)
    host = every.of(node.host_mnt_ns)
    assert len(host) > 5


def test_nothing_without_namespaces(node_of: Callable[[str], RamSource]) -> None:
    node = node_of(NAME)
    every = mounts_by_namespace(node.kernel, node.mounts, np.zeros(0, np.uint64))
    assert (len(every.space), len(every.of(node.host_mnt_ns))) == (0, 0)
    assert root_filesystems(node.kernel, node.mounts, every, node.host_mnt_ns) == {}


def test_where_the_node_has_each_file_system(node_of: Callable[[str], RamSource]) -> None:
    node = node_of(NAME)
    host = node.namespace_mounts.of(node.host_mnt_ns)
    paths = node_paths(node.mounts, host)
    assert paths[node.mounts.known[int(host[0])].superblock] == b""
    assert {b"/proc", b"/sys", b"/run"} <= set(paths.values())
