# SPDX-License-Identifier: Apache-2.0
"""Every inode that memory holds: by name (dentries), by slab, by page of the page cache; where it lies and whose it is.

All of them are handled as columns. Whose they are is asked once for each place (a layer, a volume, a file system),
by an inode that stands for all that lie there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memir.kernel import fs, overlayfs
from memir.kernel import inode as kernel_inode
from memir.kernel.blank import whole
from memir.kernel.engine import texts
from memir.kernel.inode import Inodes
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import among, distinct, numbered, rows_of
from memir.kube.dentry_names import Mounted, Names, names, superblocks
from memir.kube.path_column import PathColumn
from memir.kube.volumes import volume_of_path
from memir.kube.whiteouts import whiteout_names

_NAMES_OWNER = (
    r"/pods/|/containers/|/sandboxes/|-containers/|/io\.containerd\.runtime\.|/volumes/|/volume-subpaths/|/etc-hosts"
)
"""In paths that may name a pod or container (memir.kube.paths): each of these files is asked for by itself."""


@dataclass(frozen=True)
class NodeInodes:
    """Every inode, by address, once; a whiteout once a name, for one inode is the mark of many deleted files.

    row: of its name in `names`, -1 where it has none. stands_for: uint64[n], the inode by which its owner is asked, 0
    for one that has been freed. seen: by what it is known ("dentry", "slab", "page"). layer: upper, lower, merged,
    tmpfs, volume or node; None: not known, or a file system of the kernel's own. swapped: pages of tmpfs in swap.
    """

    inodes: Inodes
    fstype: NDArray[np.object_]
    names: Names
    row: I64
    stands_for: U64
    seen: dict[str, Bools]
    layer: NDArray[np.object_]
    swapped: I64

    def __len__(self) -> int:
        return len(self.inodes.inode)

    @property
    def cached_files(self) -> Bools:
        """bool[n]: regular files that have bytes, and a page in RAM or in swap."""
        rows = self.inodes
        here: Bools = (rows.mode >> 12 == _REGULAR) & (rows.size > 0) & (self.held > 0) & ~rows.freed
        return here

    @property
    def held(self) -> I64:
        """int64[n]: pages of each in the page cache, and in swap, which RAM may hold compressed."""
        return self.inodes.pages + self.swapped

    def shown(self, rows: Iterable[int]) -> list[str | None]:
        """Path of each of these rows: as its container sees it, else on the node, else within its file system."""
        import pyarrow.compute as pc

        row, known = self.row[np.fromiter(rows, np.int64)], self.names
        paths = pc.coalesce(*(column.take(row) for column in (known.inside, known.on_node, known.path)))
        return texts(paths.to_pylist())


_REGULAR = 8  # S_IFREG >> 12
KERNEL_OWN = frozenset({
    b"proc", b"sysfs", b"cgroup", b"cgroup2", b"debugfs", b"tracefs", b"securityfs", b"devpts", b"mqueue", b"sockfs",
    b"pipefs", b"anon_inodefs", b"nsfs", b"pidfs", b"bdev", b"bpf", b"configfs", b"fusectl", b"pstore", b"efivarfs",
    b"binfmt_misc", b"selinuxfs", b"dax", b"hugetlbfs", b"rpc_pipefs", b"autofs", b"guest_memfd", b"secretmem",
})  # fmt: skip
"""File systems that hold no files of their own: what the kernel shows of itself, and objects without a name."""


def every_inode(source: Mounted) -> NodeInodes:
    """All inodes of the node, with what is known of each."""
    kernel = source.kernel
    blocks = superblocks(source)
    known = names(source, blocks)
    named = distinct(known.inode[known.positive])
    mapping = distinct(source.pages.mapping)
    paged = distinct(kernel.pointer(mapping, "address_space", "host", gap=False))
    paged = paged[kernel_inode.sound(kernel, paged, blocks)]
    slot = kernel_inode.every_slot(kernel, distinct(np.concatenate((named, paged))))
    kernel.count_unread(
        "inode", slot, whole(kernel, slot, kernel.types.size("inode")), "blank page of a slab of inodes"
    )
    slot = slot[kernel_inode.sound(kernel, slot, blocks)]
    every = distinct(np.concatenate((named, paged, slot)))
    rows, row = kernel_inode.inodes(kernel, every), _first_name(known, every)
    on_layer = known.positive & ~known.unlinked & (known.layer >= 0)
    take, row = whiteout_names(rows, row, known.inode, on_layer)
    if len(take) != len(every):
        every = every[take]
        rows = kernel_inode.inodes(kernel, every)
    kinds = np.array([kind or b"" for kind in fs.types_of(kernel, blocks)], object)
    of = np.searchsorted(blocks, rows.superblock)
    fstype = kinds[of]
    seen = {"dentry": among(every, named), "slab": among(every, slot), "page": among(every, paged)}
    return NodeInodes(
        rows, fstype, known, row, _representatives(source, rows, known, row), seen,
        _layers(source, kinds, of, known, row, blocks), kernel_inode.swapped(kernel, every, fstype),
    )  # fmt: skip


def _first_name(known: Names, inode: U64) -> I64:
    """Row of the first name of each inode, one that still stands before one that was deleted."""
    positive = np.flatnonzero(known.positive)
    order = positive[np.lexsort((known.dentry[positive], known.unlinked[positive], known.inode[positive]))]
    unique, first = np.unique(known.inode[order], return_index=True)
    place = rows_of(unique, inode)
    return np.where(place >= 0, order[first[place]] if len(unique) else -1, -1)


def _representatives(source: Mounted, rows: Inodes, known: Names, row: I64) -> U64:
    """By which inode the owner of each is asked: the first of those that lie on one place of one file system."""
    single = row < 0
    where = np.maximum(row, 0)
    tops = source.file_owners.tops
    if not len(known.dentry):
        return rows.inode
    single |= known.parent[where] == where  # a root is its file system's, or an object without a name
    single |= ~among(rows.superblock, np.array(list(tops), np.uint64)) & (known.layer[where] < 0)
    single |= known.on_node.matches(_NAMES_OWNER)[where] & (known.layer[where] < 0)
    place = np.where(single, -2, known.place[where])
    own = np.where(single, rows.inode, np.uint64(0))
    number, first, _ = numbered([rows.superblock, (place + 2).astype(np.uint64), own])
    return np.where(rows.freed, np.uint64(0), rows.inode[first][number])


def _layers(
    source: Mounted, kind: NDArray[np.object_], of: I64, known: Names, row: I64, blocks: U64
) -> NDArray[np.object_]:
    """On what each inode lies. Another than a layer is claimed only where all overlays' layers are known.

    kind: type of each superblock's file system; of: the row of its superblock in that.
    """
    layer, has_path = np.full(len(row), -1), np.zeros(len(row), bool)
    named = np.flatnonzero(row >= 0)
    layer[named], has_path[named] = known.layer[row[named]], known.path.known()[row[named]]
    own = np.array([not each or each in KERNEL_OWN for each in kind], bool)[of]
    tmpfs, overlay = ((kind == each)[of] for each in (b"tmpfs", b"overlay"))
    told = (layer < 0) & ~own & ~overlay & (has_path | (tmpfs & (row < 0)))
    kinds = np.full(len(row), None, object)
    kinds[(layer < 0) & overlay] = "merged"
    if _complete(source, blocks):
        kinds[told & tmpfs] = "tmpfs"
        on_disk = np.flatnonzero(told & ~tmpfs)
        kinds[on_disk] = _volumes(PathColumn(known.on_node.take(row[on_disk])))
    every = distinct(layer[layer >= 0])
    upper = [bool(source.file_owners.upper.get(entry)) for entry in known.dentry[every].tolist()]
    on_layer = np.flatnonzero(layer >= 0)
    kinds[on_layer] = np.array(["lower", "upper"], object)[np.array(upper, np.int64)[rows_of(every, layer[on_layer])]]
    return kinds


def _volumes(path: PathColumn) -> NDArray[np.object_]:
    """"volume" or "node" by the path on the node; None for what the node has not mounted."""
    kinds = np.full(len(path), None, object)
    kinds[path.known()] = "node"
    for row in np.flatnonzero(path.matches("/volume|/etc-hosts|/containers/")).tolist():
        if volume_of_path((path[row] or b"").decode("utf-8", "backslashreplace")):
            kinds[row] = "volume"
    return kinds


def _complete(source: Mounted, blocks: U64) -> bool:
    """Whether every overlay of the node is known with as many layers as its mount's options name."""
    kinds = fs.types_of(source.kernel, blocks)
    overlays = blocks[[kind == b"overlay" for kind in kinds]]
    count = Counter(block for of in source.file_owners.layers.values() for block, _ in of)
    named = overlayfs.layers(source.kernel, overlays)
    stated = [None if each.lower is None else len(each.lower) + (each.upper is not None) for each in named]
    return all(kinds) and [count[block] for block in overlays.tolist()] == stated
