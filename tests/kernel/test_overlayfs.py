# SPDX-License-Identifier: Apache-2.0
"""Layers of containers' root file systems, as their mounts were made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel import fs, overlayfs
from memir.kernel.overlayfs import Layers, overlay_types
from memir.kernel.rows import rows_of
from memir.kube.ram import RamSource
from tests.hunt.hunting import planted
from tests.images import case

NodeOf = Callable[[str], RamSource]


def superblocks(node: RamSource) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    assert node.containers  # mounts are loaded with them
    known = np.unique(np.array([one.superblock for one in node.mounts.known.values() if one.superblock], np.uint64))
    kinds = fs.types_of(node.kernel, known)
    return known[[kind == b"overlay" for kind in kinds]]


def test_layers_are_those_that_were_mounted(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    overlays = superblocks(node)
    found = overlayfs.layers(node.kernel, overlays)
    assert len(found) == len(overlays) >= 7
    if case(image).small:
        raw = case(image).raw_truth()
        mounted = [*raw["pod"], *raw["container"]]
        assert {(one.upper, tuple(one.lower or ())) for one in found} == {
            (one["upper"], tuple(one["lower"].split(":"))) for one in mounted
        }
    types = overlayfs.overlay_types(node.kernel, overlays)
    assert types is not None and types.has("ovl_fs", "config")


def test_no_superblock_no_layers(node_of: NodeOf, image: str) -> None:
    assert overlayfs.layers(node_of(image).kernel, np.zeros(0, np.uint64)) == []


def test_what_is_no_overlay(node_of: NodeOf) -> None:
    """A superblock of tmpfs has something else in s_fs_info: no layer is made up, and a gap counts it."""
    node = node_of("s-6.1-small")
    overlay = superblocks(node)[:1]
    known = np.array(sorted({one.superblock for one in node.mounts.known.values() if one.superblock}), np.uint64)
    proc = known[[kind == b"proc" for kind in fs.types_of(node.kernel, known)]][:1]
    right, wrong = overlayfs.layers(node.kernel, np.concatenate((overlay, proc)))
    assert right.upper is not None
    assert wrong == Layers(None, None)
    assert [gap.why for gap in node.kernel.gaps if gap.kind == "overlay"] == ["lower directories not readable"]


@pytest.mark.parametrize("name", ["s-5.10-small-v1", "s-6.1-small", "s-6.12-intruded", "s-7.2-small-la57"])
def test_entries_of_files(name: str, node_of: Callable[[str], RamSource]) -> None:
    """What an overlay has on its upper layer bears the same name there; a log was made, not copied."""
    node = node_of(name)
    names, kernel = node.inodes.names, node.kernel
    overlays = np.array(sorted(node.file_owners.overlays), np.uint64)
    types = overlayfs.overlay_types(kernel, overlays)
    assert types is not None
    rows = np.flatnonzero(np.isin(names.superblock, overlays) & names.positive)
    entries = overlayfs.entries(kernel, types, names.dentry[rows], names.inode[rows])
    upper = rows_of(names.dentry, entries.upper)
    for row, above, count in zip(rows.tolist(), upper.tolist(), entries.lower.tolist(), strict=True):
        inside = names.inside[row]
        assert above < 0 or names.inside[above] == inside
        assert count >= 0 and (count > 0 or above >= 0), inside
        if inside == b"/tmp/server.log":
            assert (count, above >= 0) == (0, True)
    nothing = overlayfs.entries(kernel, types, np.zeros(1, np.uint64), np.zeros(1, np.uint64))
    assert (nothing.upper.tolist(), nothing.lower.tolist(), nothing.opaque.tolist()) == ([0], [-1], [False])


def test_damaged_types_of_the_module_are_a_gap(node_of: NodeOf) -> None:
    """A page of its BTF that is zeros: layers are not known, and everything else is read."""
    clean = node_of("s-6.12-intruded")
    torn = planted(clean, {0x2BB3000: bytes(4096)})
    overlays = np.array(sorted(torn.file_owners.overlays), np.uint64)
    assert len(overlays) and overlay_types(clean.kernel, overlays) is not None
    assert overlay_types(torn.kernel, overlays) is None
    assert [gap.why for gap in torn.gaps if gap.kind == "module BTF"] == ["damaged: ovl_inode.vfs_inode"]
    assert len(torn.inodes) == len(clean.inodes)
