# SPDX-License-Identifier: Apache-2.0
"""Superblocks and the files on them: against the mount table and the files that the recorder listed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel import fs
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.images import case
from tests.kernel.host import SMALL, host_files, mountinfo, mounts_of, records

NodeOf = Callable[[str], RamSource]


@pytest.mark.parametrize("name", SMALL)
def test_types_are_those_of_the_mount_table(node_of: NodeOf, name: str) -> None:
    node = node_of(name)
    mounts, mount = mounts_of(node, 1)
    superblock = np.array([mounts.known[at].superblock for at in mount.tolist()], np.uint64)
    kinds = fs.types_of(node.kernel, superblock)
    number = node.kernel.read(mount, "mount", "mnt_id").tolist()
    shown = {at: one.kind.encode() for at, one in mountinfo(records(name)[1]["mountinfo"]).items()}
    assert {at: kind for at, kind in zip(number, kinds, strict=True) if at in shown} == shown
    assert fs.types_of(node.kernel, u64(0)) == [None]


@pytest.mark.parametrize("name", SMALL)
def test_devices_are_those_of_the_mount_table(node_of: NodeOf, name: str) -> None:
    node = node_of(name)
    mounts, mount = mounts_of(node, 1)
    superblock = np.array([mounts.known[address].superblock for address in mount.tolist()], np.uint64)
    number = node.kernel.read(mount, "mount", "mnt_id").tolist()
    device = dict(zip(number, fs.devices(node.kernel, superblock), strict=True))
    lines = [line.split() for line in records(name)[1]["mountinfo"].splitlines()]
    shown = {int(words[0]): words[2] for words in lines if words}
    assert len(shown) > 5 and {key: device.get(key) for key in shown} == shown
    assert fs.devices(node.kernel, u64(0)) == ["0:0"]


@pytest.mark.parametrize("name", SMALL)
def test_every_recorded_file_is_in_the_tree(node_of: NodeOf, name: str) -> None:
    node = node_of(name)
    found = host_files(node)
    recorded = {one["file"] for one in case(name).raw_truth()["upper"]}
    assert len(recorded) > 5 and recorded <= set(found)
    assert {"/", "/bin/busybox", "/var/lib/containerd"} <= set(found)
    assert len(set(found.values())) == len(found)


def test_depth(node_of: NodeOf) -> None:
    """No level below the roots; then the first one."""
    node = node_of("s-6.1-small")
    mounts, mount = mounts_of(node, 1)
    superblock = np.unique(np.array([mounts.known[at].superblock for at in mount.tolist()], np.uint64))
    owner, dentry = fs.tree(node.kernel, superblock, depth=0)
    assert owner.tolist() == list(range(len(superblock)))
    assert np.array_equal(dentry, node.kernel.pointer(superblock, "super_block", "s_root"))
    owner, first = fs.tree(node.kernel, superblock, depth=1)
    parent = node.kernel.pointer(first, "dentry", "d_parent")
    assert np.array_equal(parent, dentry[owner])
    assert [len(column) for column in fs.tree(node.kernel, u64(0))] == [0, 0]


@pytest.mark.parametrize("name", SMALL)
def test_superblocks_from_one_and_their_mounts(node_of: NodeOf, name: str) -> None:
    """The list of all superblocks is found from any one of them; each mount of process 1 hangs on its own."""
    node = node_of(name)
    mounts, mount = mounts_of(node, 1)
    own = np.unique(np.array([mounts.known[at].superblock for at in mount.tolist()], np.uint64))
    every = fs.superblocks(node.kernel, own[:1])
    assert set(own.tolist()) < set(every.tolist())
    assert {b"proc", b"sockfs", b"pipefs", b"bdev"} <= set(fs.types_of(node.kernel, every))
    owner, found = fs.mounts_of(node.kernel, every)
    assert np.array_equal(every[owner], node.kernel.pointer(found, "mount", "mnt.mnt_sb"))
    assert set(mount.tolist()) <= set(found.tolist())
