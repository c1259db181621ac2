# SPDX-License-Identifier: Apache-2.0
"""fs/mount.h: mounts, and the paths of files through them (d_path)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import rbtree
from memir.kernel.dcache import Dentries
from memir.kernel.list import list_nodes
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MAX_DEPTH = 256  # mounts on mounts are below 20 deep; more is a loop


@dataclass(frozen=True, slots=True)
class Mount:
    """One struct mount: its parent mount, the dentry it is mounted on, its own root, its superblock."""

    parent: int
    mountpoint: int
    root: int
    superblock: int


class Mounts:
    """Mounts and dentries, read once, and the paths that lead through them."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.dentries = Dentries(kernel)
        self.known: dict[int, Mount] = {}
        self._paths: dict[tuple[int, int], bytes | None] = {}

    def load(self, mount: U64) -> None:
        """Read these mounts, all mounts above them, and the dentries that join them."""
        kernel = self._kernel
        frontier = distinct(mount[mount != 0])
        for _ in range(_MAX_DEPTH):
            frontier = frontier[[address not in self.known for address in frontier.tolist()]]
            if not len(frontier):
                return
            parent, ok = kernel.try_read(frontier, "mount", "mnt_parent")
            kernel.count_unread("mount", frontier, ok)
            point = kernel.pointer(frontier, "mount", "mnt_mountpoint", gap=False)
            root = kernel.pointer(frontier, "mount", "mnt.mnt_root", gap=False)
            superblock = kernel.pointer(frontier, "mount", "mnt.mnt_sb", gap=False)
            self.dentries.load(np.concatenate((point, root)))
            rows = zip(
                frontier.tolist(),
                parent.tolist(),
                point.tolist(),
                root.tolist(),
                superblock.tolist(),
                strict=True,
            )
            for address, *fields in rows:
                self.known[address] = Mount(*fields)
            frontier = distinct(parent[parent != 0].astype(np.uint64))

    def paths(self, mount: U64, dentry: U64) -> list[bytes | None]:
        """d_path() of each (mount, dentry), from the root of the mount's own namespace; None where unreadable.

        A dentry that is a root but not its mount's (a memfd, a SysV segment) has its bare name behind a slash.
        """
        self.load(mount)
        self.dentries.load(dentry)
        return [
            self.path(address, of) if of else None for address, of in zip(mount.tolist(), dentry.tolist(), strict=True)
        ]

    def path(self, mount: int, dentry: int) -> bytes | None:
        """The same of one pair that has been loaded."""
        key = (mount, dentry)
        if key not in self._paths:
            self._paths[key] = self._climb(mount, dentry)
        return self._paths[key]

    def _climb(self, mount: int, dentry: int) -> bytes | None:
        own = self.known.get(mount)
        if self.dentries.parent(dentry) == dentry and (own is None or own.root not in (0, dentry)):
            name = self.dentries.name(dentry)
            return None if name is None else b"/" + name
        parts: list[bytes] = []
        for _ in range(_MAX_DEPTH):
            here = self.known.get(mount)
            if here is None or not here.root:
                return None
            below = self.dentries.below(dentry, here.root)
            if below is None:
                return None
            parts = below + parts
            if here.parent == mount:
                return b"/" + b"/".join(parts)
            mount, dentry = here.parent, here.mountpoint
        return None


def namespace_mounts(kernel: Kernel, namespace: U64) -> tuple[NDArray[np.int64], U64]:
    """All mounts of mount namespaces: (index of the namespace, address of struct mount)."""
    if kernel.types.has("mnt_namespace", "mounts") and kernel.types.has("mount", "mnt_node"):
        # 6.8 (2eea9ce4310d): an rbtree ordered by mount id
        root = kernel.pointer(namespace, "mnt_namespace", "mounts.rb_node")
        owner, node = rbtree.nodes(kernel, root, "mount tree")
        return owner, kernel.container(node, "mount", "mnt_node")
    owner, node = list_nodes(kernel, kernel.embedded(namespace, "mnt_namespace", "list"), "mount list")
    mount = kernel.container(node, "mount", "mnt_list")
    # the cursor of someone reading /proc/PID/mountinfo sits in the list too, and is not a mount
    of = kernel.pointer(mount, "mount", "mnt_ns")
    keep = of == namespace[owner]
    return owner[keep], mount[keep]


def mount_of(kernel: Kernel, vfsmount: U64) -> U64:
    """struct mount of each struct vfsmount."""
    return kernel.container(vfsmount, "mount", "mnt")


def superblocks(kernel: Kernel, mounts: Mounts) -> U64:
    """Superblocks of all loaded mounts, unique."""
    del kernel
    addresses = u64(*{mount.superblock for mount in mounts.known.values() if mount.superblock})
    return distinct(addresses)
