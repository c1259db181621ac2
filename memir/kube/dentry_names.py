# SPDX-License-Identifier: Apache-2.0
"""Every name that memory holds: dentries as columns, with paths on their file system, on the node, in a container."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from memir.kernel import d_path, fs
from memir.kernel import inode as kernel_inode
from memir.kernel.blank import whole
from memir.kernel.d_path import Tree
from memir.kernel.dcache import unlinked
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import among, distinct
from memir.kube.path_column import PathColumn, below
from memir.kube.volumes import volume_of_path

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
    from memir.kernel.mount import Mounts
    from memir.kernel.mountinfo import MountInfo
    from memir.kernel.page import Pages
    from memir.kube.files import Files
    from memir.kube.owner import Owners


class Mounted(Protocol):
    """What inodes are told by: memir.kube.ram.RamSource is one."""

    @property
    def kernel(self) -> Kernel: ...  # noqa: D102
    @property
    def mounts(self) -> Mounts: ...  # noqa: D102
    @property
    def mount_table(self) -> MountInfo: ...  # noqa: D102
    @property
    def dentry_slots(self) -> U64: ...  # noqa: D102
    @property
    def owners(self) -> Owners: ...  # noqa: D102
    @property
    def file_owners(self) -> Files: ...  # noqa: D102
    @property
    def pages(self) -> Pages: ...  # noqa: D102


@dataclass(frozen=True)
class Names:
    """Every dentry in use, and all above them: uint64[n], addresses ascending; the others bool[n], uint64[n], int64[n].

    parent: row of the parent, its own for a root.
    positive: it has an inode on its own file system; negative: it is hashed and has none: the name is known not to be
    there. inode: 0 where not positive. path: within its file system; on_node, inside: on the node, and as a container
    sees it, None where that is nowhere. layer, place: rows of the nearest root of an overlay's layer, of any place that
    says whose files are (layer, container's root, volume); -1: none.
    """

    dentry: U64
    parent: I64
    superblock: U64
    inode: U64
    positive: Bools
    negative: Bools
    unlinked: Bools
    path: PathColumn
    on_node: PathColumn
    inside: PathColumn
    layer: I64
    place: I64


def superblocks(source: Mounted) -> U64:
    """Every superblock that is known, by the list of all."""
    begin = distinct(source.mount_table.superblock)
    blocks = fs.superblocks(source.kernel, begin[begin != 0])
    return blocks[whole(source.kernel, blocks, source.kernel.types.size("super_block"))]


def names(source: Mounted, superblock: U64) -> Names:
    """Every dentry on these superblocks (sorted addresses), by the slab of dentries."""
    kernel = source.kernel
    slot = source.dentry_slots
    slot = slot[among(kernel.pointer(slot, "dentry", "d_sb", gap=False), superblock)]
    good = whole(kernel, slot, kernel.types.size("dentry"))
    hashed = kernel.pointer(slot, "dentry", "d_hash.pprev", gap=False) != 0
    inode = kernel.pointer(slot, "dentry", "d_inode", gap=False)
    tree = d_path.tree(kernel, slot[good & (hashed | (inode != 0))])
    own = whole(kernel, tree.dentry, kernel.types.size("dentry"))
    superblocks_of = np.where(own, kernel.pointer(tree.dentry, "dentry", "d_sb", gap=False), np.uint64(0))
    inode = np.where(own, kernel.pointer(tree.dentry, "dentry", "d_inode", gap=False), np.uint64(0))
    same = kernel.pointer(inode, "inode", "i_sb", gap=False) == superblocks_of
    positive = (inode != 0) & same & kernel_inode.sound(kernel, inode, superblock)
    kernel.count_unread("inode", inode, positive, "torn, or not its name's")
    gone = unlinked(kernel, tree.dentry)
    files = source.file_owners
    layer = tree.nearest(among(tree.dentry, np.array(list(files.layers), np.uint64)))
    marks = np.array([*files.layers, *files.container_roots, *files.volumes], np.uint64)
    place = tree.nearest(among(tree.dentry, marks))
    path = below(tree, np.zeros(len(tree.dentry), bool))
    roots = np.sort(tree.levels[0])
    named = path.replaced(roots, [_root_name(tree.name[row]) for row in roots.tolist()])
    return Names(
        tree.dentry, tree.parent,  # and not the names of a million, which are in the paths
        superblocks_of, np.where(positive, inode, np.uint64(0)), positive,
        own & (inode == 0) & (kernel.pointer(tree.dentry, "dentry", "d_hash.pprev", gap=False) != 0), gone,
        named, _on_node(source, superblocks_of, path), _inside(source, tree, superblocks_of), layer, place,
    )  # fmt: skip


def _root_name(name: bytes | None) -> bytes:
    """"/" of a file system's root; of a file that lies in no directory (memfd:NAME, SYSV00000000) its own name."""
    return b"/" if name in (None, b"/") or name.startswith(b"[") else b"/" + name


def _on_node(source: Mounted, superblock: U64, path: PathColumn) -> PathColumn:
    blocks, which = np.unique(superblock, return_inverse=True)
    tops = source.file_owners.tops
    return path.beneath([tops.get(block) for block in blocks.tolist()], which)


def _inside(source: Mounted, tree: Tree, superblock: U64) -> PathColumn:
    """Paths as a container sees them: from the root of a layer, or of what it has mounted alone or as a volume."""
    prefix = _prefixes(source)
    start = among(tree.dentry, np.array(list(prefix), np.uint64))
    overlay = among(superblock, np.array(sorted(source.file_owners.overlays), np.uint64))
    above = tree.nearest(start)
    starts = np.flatnonzero(start)
    tops = [*(prefix[entry] for entry in tree.dentry[starts].tolist()), b""]
    which = np.where(above >= 0, np.searchsorted(starts, above), np.where(overlay, len(starts), -1))
    return below(tree, start, which >= 0).beneath(tops, which)


def _prefixes(source: Mounted) -> dict[int, bytes | None]:
    """Where containers see these directories (dentries): of several places the one with the shortest path."""
    files, info = source.file_owners, source.mount_table
    prefix: dict[int, bytes | None] = {**dict.fromkeys(files.layers, b""), **dict.fromkeys(files.container_roots, b"")}
    own = {
        block: bool(files.private(block))
        or volume_of_path(files.tops.get(block, b"").decode("utf-8", "replace")) is not None
        for block in distinct(info.superblock).tolist()
    }
    seen: dict[int, set[str | None]] = {}
    for mount, space, block, point in zip(
        info.mount.tolist(), info.space.tolist(), info.superblock.tolist(), info.mount_point, strict=True
    ):
        known = source.mounts.known.get(mount)
        if known is None or space not in source.owners.by_mount_namespace or block in files.overlays:
            continue
        if known.root in files.volumes or own[block]:
            seen.setdefault(known.root, set()).add(point)
    for root, points in seen.items():
        point = min((point for point in points if point is not None), key=lambda path: (len(path), path), default=None)
        prefix.setdefault(root, None if point is None else point.rstrip("/").encode("utf-8", "surrogateescape"))
    return prefix
