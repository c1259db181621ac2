# SPDX-License-Identifier: Apache-2.0
"""Mounts of the node and of its pods, against /proc/PID/mountinfo, and mounts that lead in a circle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel.mount import Mounts, mount_of, namespace_mounts, superblocks
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols.types import Member, TypeRef
from tests.kernel import fake
from tests.kernel.fake import DIRECT, POINTER, fake_kernel
from tests.kernel.host import SMALL, mountinfo, mounts_of, records

NodeOf = Callable[[str], RamSource]


def pids(name: str) -> list[int]:
    """Process 1 and the first process of a pod."""
    shown = records(name)
    host = shown[1]["ns"]["mnt"]
    return [1, min(pid for pid, one in shown.items() if one["ns"]["mnt"] != host and "mountinfo" in one)]


@pytest.mark.parametrize("name", SMALL)
def test_mounts_are_those_of_proc(node_of: NodeOf, name: str) -> None:
    node = node_of(name)
    kernel = node.kernel
    for pid in pids(name):
        shown = mountinfo(records(name)[pid]["mountinfo"])
        mounts, mount = mounts_of(node, pid)
        number = kernel.read(mount, "mount", "mnt_id").tolist()
        roots = np.array([mounts.known[at].root for at in mount.tolist()], np.uint64)
        path = dict(zip(number, mounts.paths(mount, roots), strict=True))
        superblock = np.array([mounts.known[at].superblock for at in mount.tolist()], np.uint64)
        device = dict(zip(number, kernel.read(superblock, "super_block", "s_dev").tolist(), strict=True))
        # mountinfo does not show what lies below the root: the initial ram file system, in 7.2 also a nullfs
        assert set(shown) <= set(number) and len(number) - len(shown) <= 2
        assert {at: path[at] for at in shown} == {at: one.path.encode() for at, one in shown.items()}
        assert {at: device[at] for at in shown} == {at: one.device for at, one in shown.items()}
        every = superblocks(kernel, mounts)
        assert set(superblock.tolist()) <= set(every.tolist())
        assert len(np.unique(every)) == len(every) >= len({one.device for one in shown.values()})


def test_namespaces_together_and_one_by_one(node_of: NodeOf, image: str) -> None:
    """Each mount has its namespace's index; no mount is in two namespaces, and each names its own."""
    kernel = node_of(image).kernel
    spaces = np.unique(node_of(image).processes.mnt_ns)
    spaces = spaces[spaces != 0][:4]
    owner, mount = namespace_mounts(kernel, spaces)
    assert np.array_equal(kernel.pointer(mount, "mount", "mnt_ns"), spaces[owner])
    assert len(np.unique(mount)) == len(mount)
    for at in range(len(spaces)):
        _, alone = namespace_mounts(kernel, spaces[at : at + 1])
        assert len(alone) >= 1 and set(alone.tolist()) == set(mount[owner == at].tolist())


def test_the_mount_of_a_vfsmount(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    kernel = node.kernel
    _, mount = mounts_of(node, 1)
    assert np.array_equal(mount_of(kernel, kernel.embedded(mount, "mount", "mnt")), mount)
    assert mount_of(kernel, u64(0)).tolist() == [0]


MADE_UP = {
    "mount": (
        64,
        {
            "mnt_parent": Member(0, POINTER),
            "mnt_mountpoint": Member(8, POINTER),
            "mnt": Member(16, TypeRef("struct", 16, "vfsmount")),
        },
    ),
    "vfsmount": (16, {"mnt_root": Member(0, POINTER), "mnt_sb": Member(8, POINTER)}),
    "dentry": (64, {"d_parent": Member(0, POINTER), "d_name": Member(8, TypeRef("struct", 8, "qstr"))}),
    "qstr": (8, {"name": Member(0, POINTER)}),
}


def test_mounts_in_a_circle_and_bare_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two mounts that are mounted on each other have no path; a memfd has its name behind a slash."""
    for struct, layout in MADE_UP.items():
        monkeypatch.setitem(fake.STRUCTS, struct, layout)
    root, folder, memfd = (DIRECT + 0x2000 + 64 * number for number in range(3))
    first, second, good = (DIRECT + 0x3000 + 64 * number for number in range(3))
    words: dict[int, int | bytes] = {0x4000: b"/\0", 0x4010: b"data\0", 0x4020: b"memfd:x\0"}
    for address, parent, name in ((root, root, 0x4000), (folder, root, 0x4010), (memfd, memfd, 0x4020)):
        words |= {address - DIRECT: parent, address - DIRECT + 8: DIRECT + name}
    for address, parent in ((first, second), (second, first), (good, good)):
        at = address - DIRECT
        words |= {at: parent, at + 8: folder, at + 16: root, at + 24: DIRECT + 0x5000 + at}
    kernel = fake_kernel(words)
    mounts = Mounts(kernel)
    assert mounts.paths(u64(first, good, good, good, 0), u64(folder, folder, memfd, 0, folder)) == [
        None, b"/data", b"/memfd:x", None, None,
    ]  # fmt: skip
    assert mounts.known[good].parent == good and mounts.known[first].mountpoint == folder
    assert len(superblocks(kernel, mounts)) == 3
    assert list(kernel.gaps) == []
