# SPDX-License-Identifier: Apache-2.0
"""Mounts by their namespaces and by their file systems; what no process sees; torn ones are told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.gaps import Gaps
from memir.kernel import fs
from memir.kernel.engine import Kernel
from memir.kernel.mount import Mounts
from memir.kernel.mountinfo import every_mount, mountinfo, reader_roots
from memir.kube.ram import RamSource
from tests.damage import damaged, patched, rewritten
from tests.kernel.host import mountinfo as lines_of
from tests.kernel.host import records

NodeOf = Callable[[str], RamSource]
NAMES = ("s-5.10-small-v1", "s-7.2-small-la57", "arm64-6.12-small-lpa2")


@pytest.mark.parametrize("name", NAMES)
def test_two_lists_agree(node_of: NodeOf, name: str) -> None:
    """Every mount of a namespace is on its superblock's list too; hiding one from the former leaves the latter."""
    node = node_of(name)
    kernel = node.kernel
    space, root = reader_roots(kernel, node.processes.threads.task)
    assert len(space) == len(np.unique(space)) > 7 and (root != 0).all()
    begin = np.unique(kernel.pointer(root, "mount", "mnt.mnt_sb"))
    mount, of, seen = every_mount(kernel, space, begin)
    assert (seen["superblock"]).all() and np.array_equal(seen["namespace"], of != 0)
    few, _, alone = every_mount(kernel, space[:0], begin[:1])
    # without any namespace, and from one file system: the same mounts
    assert np.array_equal(few, mount) and not alone["namespace"].any()
    assert set(begin.tolist()) <= set(fs.superblocks(kernel, begin[:1]).tolist())


@pytest.mark.parametrize("name", NAMES)
def test_visible_is_what_mountinfo_shows(node_of: NodeOf, name: str) -> None:
    node = node_of(name)
    kernel = node.kernel
    space, root = reader_roots(kernel, node.processes.threads.task)
    info = mountinfo(kernel, Mounts(kernel), space, root)
    host = info.space == node.host_mnt_ns
    shown = lines_of(records(name)[1]["mountinfo"])
    assert sorted(info.mount_id[host & info.visible].tolist()) == sorted(shown)
    assert len(info) == len(info.mount) == len(info.device) == len(info.propagation)
    nobody = mountinfo(kernel, Mounts(kernel), space, np.zeros(len(space), np.uint64))
    assert not nobody.visible.any()


def test_a_mount_of_another_file_system_is_torn(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    kernel = node.kernel
    space, root = reader_roots(kernel, node.processes.threads.task)
    at = kernel.embedded(root[:1], "mount", "mnt.mnt_sb")
    pa, _ = kernel.space.physical(at)
    memory = kernel.memory
    wrong = int(kernel.pointers(at)[0]) + 64
    gaps = Gaps()
    torn = Kernel(damaged(memory, patched(memory, {int(pa[0]): wrong.to_bytes(8, "little")})), kernel.anchors, gaps)
    mount, _, _ = every_mount(torn, space, np.unique(kernel.pointer(root[1:], "mount", "mnt.mnt_sb")))
    assert int(root[0]) not in mount.tolist()
    assert [(gap.kind, gap.why, gap.count) for gap in gaps if gap.kind == "mount"] == [("mount", "torn", 1)]


@pytest.mark.parametrize("number", [0, 0xEFFF_FFF7])
@pytest.mark.parametrize("name", NAMES)
def test_a_tree_that_was_never_attached(node_of: NodeOf, name: str, number: int) -> None:
    """Its namespace has no number, and before 6.18 not even the one that all such have: it is in none."""
    node = node_of(name)
    kernel = node.kernel
    space, root = reader_roots(kernel, node.processes.threads.task)
    begin = np.unique(kernel.pointer(root, "mount", "mnt.mnt_sb"))
    mount, of, _ = every_mount(kernel, space, begin)
    victim = int(space[space != node.host_mnt_ns][0])
    place = victim + kernel.types.offset("mnt_namespace", "ns.inum")
    torn = rewritten(kernel, {place: number.to_bytes(4, "little")})
    again, now, seen = every_mount(torn, space[space != victim], begin)
    assert np.array_equal(again, mount) and (of == victim).any()
    assert np.array_equal(now, np.where(of == victim, 0, of))
    assert not seen["namespace"][of == victim].any() and not len(torn.gaps)


@pytest.mark.parametrize("name", ["s-6.1-small", "s-6.12-intruded", "s-7.2-small-la57"])
def test_idmapped(node_of: NodeOf, name: str) -> None:
    node = node_of(name)
    kernel = node.kernel
    space, root = reader_roots(kernel, node.processes.threads.task)
    info = mountinfo(kernel, Mounts(kernel), space, root)
    assert not any("idmapped" in (words or []) for words in info.options)
    member = "mnt.mnt_idmap" if kernel.types.has("vfsmount", "mnt_idmap") else "mnt.mnt_userns"
    place = int(root[0]) + kernel.types.offset("mount", member)
    torn = rewritten(kernel, {place: int(root[0]).to_bytes(8, "little")})
    again = mountinfo(torn, Mounts(torn), space, root)
    assert [row for row, words in enumerate(again.options) if "idmapped" in (words or [])] == [
        again.mount.tolist().index(int(root[0]))
    ]
