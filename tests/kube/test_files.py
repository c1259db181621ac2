# SPDX-License-Identifier: Apache-2.0
"""Whose file is this: on images as they are, and with a container whose root is no overlay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from memir.kernel import page
from memir.kernel.engine import Kernel
from memir.kube.files import FileInfo, Files
from memir.kube.owner import NODE, Owner
from memir.kube.ram import RamSource
from tests.damage import damaged, patched

NodeOf = Callable[[str], RamSource]
IMAGES = ("s-6.1-small", "s-7.2-small-la57", "arm64-6.12-small-lpa2")
Place = tuple[str | None, tuple[Owner, ...]]


def files_of(node: RamSource) -> tuple[Files, dict[int, FileInfo]]:
    files = Files(node)
    return files, files.of(np.unique(page.pages(node.kernel).mapping).tolist())


def places(infos: dict[int, FileInfo]) -> dict[int, Place]:
    return {at: (info.path, info.owners) for at, info in infos.items()}


def names(owners: tuple[Owner, ...]) -> set[tuple[str | None, str | None]]:
    return {(owner.pod_name, owner.container_name) for owner in owners}


def container_named(node: RamSource, name: str) -> Owner:
    (row,) = [row for row in node.containers.values() if row.container_name == name]
    return node.owners.container(row.container_id)


def mount_at(node: RamSource, files: Files, owner: Owner, path: bytes) -> int:
    """struct mount (not rootfs, which lies below every root) at a path of a container's."""
    space = next(space for space, owners in node.owners.by_mount_namespace.items() if owner in owners)
    rows = [at for mounts in files._mounts_of.values() for where, at in mounts if where == space]
    table = node.mounts.known
    found = node.mounts.paths(np.array(rows, np.uint64), np.array([table[at].root for at in rows], np.uint64))
    return [at for at, where in zip(rows, found, strict=True) if where == path and table[at].parent != at][-1]


def changed(node: RamSource, values: list[tuple[int, str, str, int]]) -> RamSource:
    """The node with other pointers in some members: (address, struct, member, value)."""
    kernel, changes = node.kernel, {}
    for address, struct, member, value in values:
        pa, known = kernel.space.physical(kernel.embedded(np.array([address], np.uint64), struct, member))
        assert known[0]
        changes[int(pa[0])] = value.to_bytes(8, "little")
    memory = damaged(kernel.memory, patched(kernel.memory, changes))
    return RamSource(Kernel(memory, kernel.anchors))


@pytest.fixture(params=IMAGES)
def node(request: pytest.FixtureRequest, node_of: NodeOf) -> RamSource:
    return node_of(request.param)


def root_of_node(node: RamSource, infos: dict[int, FileInfo]) -> tuple[int, int, int]:
    """(directory of the kubelet's program, the node's own root dentry, its superblock)."""
    mapping = next(at for at, info in infos.items() if info.path == "/usr/bin/kubelet")
    inode = node.kernel.read(np.array([mapping], np.uint64), "address_space", "host").astype(np.uint64)
    superblock = node.kernel.read(inode, "inode", "i_sb").astype(np.uint64)
    root = node.kernel.read(superblock, "super_block", "s_root")
    first = node.kernel.read(inode, "inode", "i_dentry.first").astype(np.uint64)
    member = node.kernel.first_member("dentry", "d_alias", "d_u.d_alias")
    dentry = int(node.kernel.container(first, "dentry", member)[0])
    return node.mounts.dentries.parent(dentry), int(root[0]), int(superblock[0])


def test_files_of_an_image(node: RamSource) -> None:
    _, infos = files_of(node)
    by_path: dict[str | None, list[FileInfo]] = {}
    for info in infos.values():
        by_path.setdefault(info.path, []).append(info)
    (log,) = by_path["/tmp/server.log"]
    assert (names(log.owners), log.deleted) == ({("web-7d4b9c6f5-abcde", "web")}, False)
    assert "upper layer, on the node /var/lib/containerd/" in log.source
    assert [names(info.owners) for info in by_path["/usr/bin/kubelet"]] == [{(None, None)}]
    (gone,) = by_path["/tmp/dropper"]
    assert (names(gone.owners), gone.deleted) == ({("miner-0", "miner")}, True)
    (pause,) = by_path["/pause"]
    assert {pod for pod, _ in names(pause.owners)} == {"web-7d4b9c6f5-abcde", "miner-0", "agent-x9z2k"}
    tokens = [info for path, infos in by_path.items() for info in infos if str(path).endswith("/token")]
    assert sorted(pod for info in tokens for pod, _ in names(info.owners) if pod) == [
        "agent-x9z2k", "miner-0", "web-7d4b9c6f5-abcde",
    ]  # fmt: skip


def test_what_a_container_reaches_is_not_its_own(node: RamSource) -> None:
    """The node's / at some place of a container's, and its process in there: `kubectl debug node`, `chroot /host`."""
    files, before = files_of(node)
    agent = container_named(node, "agent")
    _, root, superblock = root_of_node(node, before)
    host = mount_at(node, files, agent, b"/dev")
    vfsmount = host + node.kernel.types.offset("mount", "mnt")
    (task,) = [
        row.task for row in node.processes.rows if node.owners.process(row.pid) == agent and (row.pids or [0])[-1] == 1
    ]
    place = int(node.kernel.read(np.array([task], np.uint64), "task_struct", "fs")[0])
    debug = changed(node, [
        (host, "mount", "mnt.mnt_root", root), (host, "mount", "mnt.mnt_sb", superblock),
        (place, "fs_struct", "root.mnt", vfsmount), (place, "fs_struct", "root.dentry", root),
    ])  # fmt: skip
    _, after = files_of(debug)
    assert places(after) == places(before)
    kubelet = next(info for info in after.values() if info.path == "/usr/bin/kubelet")
    assert kubelet.owners == (NODE,)


def test_a_root_that_is_a_directory_of_the_node(node: RamSource) -> None:
    """As the native snapshotter gives it: what lies below is the container's, and nothing else."""
    files, before = files_of(node)
    agent = container_named(node, "agent")
    directory, root, superblock = root_of_node(node, before)
    mount = mount_at(node, files, agent, b"/")
    native = changed(node, [(mount, "mount", "mnt.mnt_root", directory), (mount, "mount", "mnt.mnt_sb", superblock)])
    other, after = files_of(native)
    below = {at for at, info in before.items() if str(info.path).startswith("/usr/bin/")}
    assert below
    for at in below:
        info, name = after[at], str(before[at].path).removeprefix("/usr/bin")
        assert (info.path, info.owners) == (name, (agent,))
        assert f"root of a container, on the node /usr/bin{name}" in info.source
    others = {at: place for at, place in places(after).items() if at not in below}
    assert {at for at in others if others[at] != places(before)[at]} <= {
        at for at, info in before.items() if agent in info.owners  # its overlay's layers are no longer its
    }  # fmt: skip
    assert not [at for at, (_, owners) in others.items() if agent in owners and agent not in before[at].owners]
    assert native.mounts.dentries.below(root, directory) is None
    assert other.of([]) == {}


def test_a_volume_is_the_nodes_and_the_containers(node: RamSource) -> None:
    """A hostPath: both are owners. Below a pod's directory the kubelet's path decides."""
    files, before = files_of(node)
    agent = container_named(node, "agent")
    directory, _, superblock = root_of_node(node, before)
    host = mount_at(node, files, agent, b"/dev")
    shared = changed(node, [(host, "mount", "mnt.mnt_root", directory), (host, "mount", "mnt.mnt_sb", superblock)])
    _, after = files_of(shared)
    below = {at for at, info in before.items() if str(info.path).startswith("/usr/bin/")}
    assert {at: after[at].owners for at in below} == dict.fromkeys(below, (NODE, agent))
    rest: Any = {at: place for at, place in places(before).items() if at not in below}
    assert {at: place for at, place in places(after).items() if at not in below} == rest
