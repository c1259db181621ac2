# SPDX-License-Identifier: Apache-2.0
"""Every inode that memory holds: by name (dentries), by slab, by page of the page cache; where it lies and whose it is.

All of them are handled as columns. Whose they are is asked once for each place (a layer, a volume, a file system),
by an inode that stands for all that lie there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from memir.kernel import d_path, fs, overlayfs
from memir.kernel import inode as kernel_inode
from memir.kernel.blank import whole
from memir.kernel.d_path import Tree
from memir.kernel.dcache import unlinked
from memir.kernel.engine import texts
from memir.kernel.inode import Inodes
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import among, distinct, rows_of
from memir.kube.volumes import volume_of_path
from memir.kube.whiteouts import whiteout_names

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
    from memir.kernel.mount import Mounts
    from memir.kernel.mountinfo import MountInfo
    from memir.kernel.page import Pages
    from memir.kube.files import Files
    from memir.kube.owner import Owners

_NAMES_OWNER = re.compile(
    rb"/pods/|/containers/|/sandboxes/|-containers/|/io\.containerd\.runtime\.|/volumes/|/volume-subpaths/|/etc-hosts"
)
"""In paths that may name a pod or container (memir.kube.paths): each of these files is asked for by itself."""


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
    """Every dentry in use, and all above them. Columns in the order of tree.dentry (bool[n], uint64[n]); tree.name is
    let go, its names being those of the paths.

    positive: it has an inode on its own file system; negative: it is hashed and has none: the name is known not to be
    there. inode: 0 where not positive. path: within its file system; on_node, inside: on the node, and as a container
    sees it, None where that is nowhere. layer, place: rows of the nearest root of an overlay's layer, of any place that
    says whose files are (layer, container's root, volume); -1: none.
    """

    tree: Tree
    superblock: U64
    inode: U64
    positive: Bools
    negative: Bools
    unlinked: Bools
    path: list[bytes | None]
    on_node: Sequence[bytes | None]
    inside: list[bytes | None]
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
    path = tree.below(np.zeros(len(tree.dentry), bool))
    inside = _inside(source, tree, superblocks_of)
    roots = [_root_name(tree.name[row]) if text == b"" else text for row, text in enumerate(path)]
    return Names(
        replace(tree, name=[]),  # they are in the paths now, and a node may have a million
        superblocks_of, np.where(positive, inode, np.uint64(0)), positive,
        own & (inode == 0) & (kernel.pointer(tree.dentry, "dentry", "d_hash.pprev", gap=False) != 0), gone,
        roots, _on_node(source, superblocks_of, path), inside, layer, place,
    )  # fmt: skip


def _root_name(name: bytes | None) -> bytes:
    """"/" of a file system's root; of a file that lies in no directory (memfd:NAME, SYSV00000000) its own name."""
    return b"/" if name in (None, b"/") or name.startswith(b"[") else b"/" + name


class _OnNode(Sequence[bytes | None]):
    """Paths on the node, put together when they are asked for: of a million files that is a tenth of all memory."""

    def __init__(self, top: list[bytes | None], path: list[bytes | None]) -> None:
        self._top, self._path = top, path

    def __len__(self) -> int:
        return len(self._path)

    @overload
    def __getitem__(self, row: int) -> bytes | None: ...
    @overload
    def __getitem__(self, row: slice) -> list[bytes | None]: ...
    def __getitem__(self, row: int | slice) -> bytes | list[bytes | None] | None:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        top, inside = self._top[row], self._path[row]
        return None if top is None or inside is None else top + inside or b"/"

    def __iter__(self) -> Iterator[bytes | None]:
        for top, inside in zip(self._top, self._path, strict=True):
            yield None if top is None or inside is None else top + inside or b"/"


def _on_node(source: Mounted, superblock: U64, path: list[bytes | None]) -> _OnNode:
    tops = source.file_owners.tops
    return _OnNode([tops.get(block) for block in superblock.tolist()], path)


def _inside(source: Mounted, tree: Tree, superblock: U64) -> list[bytes | None]:
    """Paths as a container sees them: from the root of a layer, or of what it has mounted alone or as a volume."""
    prefix = _prefixes(source)
    start = among(tree.dentry, np.array(list(prefix), np.uint64))
    begin = [prefix.get(entry) for entry in tree.dentry.tolist()]
    overlay = among(superblock, np.array(sorted(source.file_owners.overlays), np.uint64))
    above, below = tree.nearest(start).tolist(), tree.below(start)
    inside: list[bytes | None] = []
    for row, (place, rest) in enumerate(zip(above, below, strict=True)):
        top = begin[place] if place >= 0 else b"" if overlay[row] else None
        inside.append(None if top is None or rest is None else top + rest or b"/")
    return inside


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
    layer: list[str | None]
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
        names, known = self.row.tolist(), self.names
        return texts([
            known.inside[name] or known.on_node[name] or known.path[name] if name >= 0 else None
            for name in (names[row] for row in rows)
        ])  # fmt: skip


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
    fstype = kinds[np.searchsorted(blocks, rows.superblock)]
    seen = {"dentry": among(every, named), "slab": among(every, slot), "page": among(every, paged)}
    return NodeInodes(
        rows, fstype, known, row, _representatives(source, rows, known, row), seen,
        _layers(source, fstype, known, row, blocks), kernel_inode.swapped(kernel, every, fstype),
    )  # fmt: skip


def _first_name(known: Names, inode: U64) -> I64:
    """Row of the first name of each inode, one that still stands before one that was deleted."""
    positive = np.flatnonzero(known.positive)
    order = positive[np.lexsort((known.tree.dentry[positive], known.unlinked[positive], known.inode[positive]))]
    unique, first = np.unique(known.inode[order], return_index=True)
    place = rows_of(unique, inode)
    return np.where(place >= 0, order[first[place]] if len(unique) else -1, -1)


def _representatives(source: Mounted, rows: Inodes, known: Names, row: I64) -> U64:
    """By which inode the owner of each is asked: the first of those that lie on one place of one file system."""
    single = row < 0
    where = np.maximum(row, 0)
    tree, tops = known.tree, source.file_owners.tops
    if not len(tree.dentry):
        return rows.inode
    single |= tree.parent[where] == where  # a root is its file system's, or an object without a name
    single |= ~among(rows.superblock, np.array(list(tops), np.uint64)) & (known.layer[where] < 0)
    names_owner = [path is not None and _NAMES_OWNER.search(path) is not None for path in known.on_node]
    single |= np.array(names_owner, bool)[where] & (known.layer[where] < 0)
    place = np.where(single, -2, known.place[where])
    own = np.where(single, rows.inode, np.uint64(0))
    order = np.lexsort((own, place, rows.superblock))  # rows of one place side by side, each place's first one first
    new = np.ones(len(order), bool)
    for column in (rows.superblock, place, own):
        values = column[order]
        new[1:] &= values[1:] == values[:-1]
    new[1:] = ~new[1:]
    first = order[np.flatnonzero(new)[np.cumsum(new) - 1]]
    stands = np.empty(len(order), np.uint64)
    stands[order] = rows.inode[first]
    return np.where(rows.freed, np.uint64(0), stands)


def _layers(source: Mounted, fstype: NDArray[np.object_], known: Names, row: I64, blocks: U64) -> list[str | None]:
    """On what each inode lies. Another than a layer is claimed only where all overlays' layers are known."""
    kinds: list[str | None] = []
    complete = _complete(source, blocks)
    top = [source.file_owners.upper.get(entry) for entry in known.tree.dentry.tolist()]
    layers = known.layer.tolist()
    for kind, name in zip(fstype.tolist(), row.tolist(), strict=True):
        layer = layers[name] if name >= 0 else -1
        if layer >= 0:
            kinds.append("upper" if top[layer] else "lower")
        elif kind in KERNEL_OWN or not kind:
            kinds.append(None)
        elif kind == b"overlay":
            kinds.append("merged")
        elif not complete or (known.path[name] is None if name >= 0 else kind != b"tmpfs"):
            kinds.append(None)
        else:
            kinds.append("tmpfs" if kind == b"tmpfs" else _volume(known.on_node[name]))
    return kinds


def _volume(path: bytes | None) -> str | None:
    if path is None:
        return None
    if b"/volume" not in path and b"/etc-hosts" not in path and b"/containers/" not in path:
        return "node"
    return "volume" if volume_of_path(path.decode("utf-8", "backslashreplace")) else "node"


def _complete(source: Mounted, blocks: U64) -> bool:
    """Whether every overlay of the node is known with as many layers as its mount's options name."""
    kinds = fs.types_of(source.kernel, blocks)
    overlays = blocks[[kind == b"overlay" for kind in kinds]]
    count = Counter(block for of in source.file_owners.layers.values() for block, _ in of)
    named = overlayfs.layers(source.kernel, overlays)
    stated = [None if each.lower is None else len(each.lower) + (each.upper is not None) for each in named]
    return all(kinds) and [count[block] for block in overlays.tolist()] == stated
