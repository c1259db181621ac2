# SPDX-License-Identifier: Apache-2.0
"""fs/proc_namespace.c: every mount with the fields of /proc/PID/mountinfo, also those that it does not show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import fs, nsproxy
from memir.kernel.blank import whole
from memir.kernel.engine import texts
from memir.kernel.mount import Mounts, mount_of, namespace_mounts
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import among, distinct, rows_of

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_IDMAPPED = 1 << 40  # no flag of the kernel's: that a mount has a map of its own, which mountinfo shows among them
_FLAGS = (
    (0x01, "nosuid"), (0x02, "nodev"), (0x04, "noexec"), (0x08, "noatime"), (0x10, "nodiratime"), (0x20, "relatime"),
    (0x80, "nosymfollow"), (_IDMAPPED, "idmapped"),
)  # fmt: skip
_READONLY, _SHARED, _UNBINDABLE = 0x40, 0x1000, 0x2000
_SB_FLAGS = ((0x10, "sync"), (0x80, "dirsync"), (0x40, "mand"), (1 << 25, "lazytime"))
_DEPTH = 256
_ANONYMOUS = 0xEFFF_FFF7  # MNT_NS_ANON_INO (6.18): the number that all of them have; 0 before


@dataclass(frozen=True)
class MountInfo:
    """Columns, one row a mount (None and 0: not known).

    mount, superblock: addresses. inum: of its namespace, 0 for one that is in none. mount_id, parent_id: int64, -1 not
    known. visible: a process of the namespace sees it; seen: by the lists that have it ("namespace", "superblock").
    """

    mount: U64
    superblock: U64
    space: U64
    inum: U64
    mount_id: NDArray[np.int64]
    parent_id: NDArray[np.int64]
    device: list[str | None]
    root: list[str | None]
    mount_point: list[str | None]
    options: list[list[str] | None]
    propagation: list[list[str] | None]
    fstype: list[str | None]
    device_name: list[str | None]
    super_options: list[list[str] | None]
    visible: Bools
    seen: dict[str, Bools]

    def __len__(self) -> int:
        return len(self.mount)


def reader_roots(kernel: Kernel, task: U64) -> tuple[U64, U64]:
    """(mount namespace, struct mount of the root that most of its tasks have), for the namespaces that tasks are in.

    A task in a chroot has a part of its namespace for a root: where there are others, they count.
    """
    space = kernel.pointer(kernel.pointer(task, "task_struct", "nsproxy"), "nsproxy", "mnt_ns")
    fs_struct = kernel.pointer(task, "task_struct", "fs")
    root = mount_of(kernel, kernel.pointer(fs_struct, "fs_struct", "root.mnt"))
    entry = kernel.pointer(fs_struct, "fs_struct", "root.dentry", gap=False)
    plain = entry == kernel.pointer(root, "mount", "mnt.mnt_root", gap=False)
    known = (space != 0) & (root != 0)
    pairs, count = np.unique(np.stack((space[known], root[known]), 1), axis=0, return_counts=True)
    whole_root = among(pairs[:, 1], root[plain])
    order = np.lexsort((pairs[:, 1], -count, ~whole_root, pairs[:, 0]))
    unique, first = np.unique(pairs[order, 0], return_index=True)
    return unique, pairs[order, 1][first]


def every_mount(kernel: Kernel, space: U64, superblock: U64) -> tuple[U64, U64, dict[str, Bools]]:
    """(mount, its namespace, seen) of all mounts: those of namespaces (unique addresses), and those that the
    superblocks, of which some have to be known, list. A namespace that no task is in is found by the latter alone.

    Mounts that are the kernel's own, and no namespace's ever, are left out; one that has been detached has 0, as has
    one that was never attached: its tree is a namespace without a number, which a file descriptor keeps
    (open_tree(OPEN_TREE_CLONE), fsmount).
    """
    owner, mount = namespace_mounts(kernel, space)
    whose = dict(zip(mount.tolist(), space[owner].tolist(), strict=True))
    _, other = fs.mounts_of(kernel, fs.superblocks(kernel, superblock))
    other = distinct(other)
    of = kernel.pointer(other, "mount", "mnt_ns", gap=False)
    known = among(of, space) | (of == 0)
    rest = distinct(of[~known & kernel.space.is_kernel_pointer(of) & (of < np.uint64(0xFFFF_FFFF_FFFF_F000))])
    unnamed = _unnamed(kernel, rest)
    numbered = rest[~among(rest, unnamed)]
    real = np.concatenate((space, numbered[nsproxy.numbers(kernel, "mnt", numbered) != 0], np.zeros(1, np.uint64)))
    of = np.where(among(of, unnamed), np.uint64(0), of)
    other, of = other[among(of, real)], of[among(of, real)]
    every = distinct(np.concatenate((mount, other)))
    by_list = dict(zip(other.tolist(), of.tolist(), strict=True))
    spaces = np.array([whose.get(address, by_list.get(address, 0)) for address in every.tolist()], np.uint64)
    sound = _sound(kernel, every)
    kernel.count_unread("mount", every, sound, "torn")
    seen = {"namespace": among(every, mount)[sound], "superblock": among(every, other)[sound]}
    return every[sound], spaces[sound], seen


def _unnamed(kernel: Kernel, space: U64) -> U64:
    """Those of these mount namespaces that have no number (is_anon_ns), and whose root says that it is theirs."""
    number, ok = kernel.try_read(space, "mnt_namespace", "ns.inum")
    root = kernel.pointer(space, "mnt_namespace", "root", gap=False)
    nameless = among(number, (0, _ANONYMOUS))
    none: U64 = space[ok & nameless & (kernel.pointer(root, "mount", "mnt_ns", gap=False) == space)]
    return none


def _sound(kernel: Kernel, mount: U64) -> Bools:
    """Mounts that are whole, with a root that lies on the file system that they name."""
    superblock = kernel.pointer(mount, "mount", "mnt.mnt_sb", gap=False)
    root = kernel.pointer(mount, "mount", "mnt.mnt_root", gap=False)
    same = kernel.pointer(root, "dentry", "d_sb", gap=False) == superblock
    sound: Bools = same & (superblock != 0) & whole(kernel, mount, kernel.types.size("mount"))
    return sound


def mountinfo(kernel: Kernel, mounts: Mounts, space: U64, root: U64) -> MountInfo:
    """Every mount. space: mount namespaces (unique addresses); root: struct mount of the root that its processes have.

    The options that a file system prints itself (overlay's layers, a tmpfs's size) are not among super_options.
    """
    mounts.load(root)
    begin = distinct(kernel.pointer(root, "mount", "mnt.mnt_sb", gap=False))
    mount, of, seen = every_mount(kernel, space, begin)
    mounts.load(mount)
    fields = {name: kernel.pointer(mount, "mount", name) for name in ("mnt_parent", "mnt_mountpoint", "mnt_master")}
    parent, master = fields["mnt_parent"], fields["mnt_master"]
    superblock, top = (kernel.pointer(mount, "mount", f"mnt.{name}") for name in ("mnt_sb", "mnt_root"))
    # the root of a tree that was copied still names where what it is a copy of was mounted
    point = np.where(parent == mount, top, fields["mnt_mountpoint"])
    root_of = dict(zip(space.tolist(), root.tolist(), strict=True))
    visible = _visible(mount, parent, np.array([root_of.get(value, 0) for value in of.tolist()], np.uint64))
    flags = kernel.read(mount, "mount", "mnt.mnt_flags").astype(np.int64)
    flags |= np.where(_idmapped(kernel, mount, superblock), _IDMAPPED, 0)
    spaces, back = np.unique(of, return_inverse=True)
    blank = ~whole(kernel, superblock, kernel.types.offset("super_block", "s_root"))
    kinds = [None if bad else kind or None for bad, kind in zip(blank, fs.types_of(kernel, superblock), strict=True)]
    fstype = _with_subtype(kernel, superblock, texts(kinds))
    return MountInfo(
        mount=mount,
        superblock=superblock,
        space=of,
        inum=nsproxy.numbers(kernel, "mnt", spaces)[back],
        mount_id=_numbers(kernel, mount, "mnt_id"),
        parent_id=_numbers(kernel, parent, "mnt_id"),
        device=_devices(kernel, superblock, blank),
        root=_roots(kernel, mounts, top, [kind == b"nsfs" for kind in kinds]),
        mount_point=texts(mounts.paths(parent, point)),
        options=[_words(value, _FLAGS, bool(value & _READONLY)) for value in flags.tolist()],
        propagation=_propagation(kernel, mount, of, master, flags, visible),
        fstype=fstype,
        device_name=texts([name or None for name in kernel.strings(
            kernel.pointer(mount, "mount", "mnt_devname"), 4096)]),
        super_options=_super_options(kernel, superblock, blank),
        visible=visible,
        seen=seen,
    )  # fmt: skip


def _idmapped(kernel: Kernel, mount: U64, superblock: U64) -> Bools:
    """Mounts that show their files as others' (include/linux/mnt_idmapping.h, is_idmapped_mnt)."""
    none = np.zeros(len(mount), bool)
    symbols = kernel.symbols
    if kernel.types.has("vfsmount", "mnt_idmap"):  # 6.2
        if "nop_mnt_idmap" not in symbols:
            return none
        own = kernel.pointer(mount, "mount", "mnt.mnt_idmap", gap=False)
        plain = [symbols[name] for name in ("nop_mnt_idmap", "invalid_mnt_idmap") if name in symbols]
    elif kernel.types.has("vfsmount", "mnt_userns"):  # 5.12
        if "init_user_ns" not in symbols:
            return none
        own = kernel.pointer(mount, "mount", "mnt.mnt_userns", gap=False)
        own = np.where(own == kernel.pointer(superblock, "super_block", "s_user_ns", gap=False), np.uint64(0), own)
        plain = [symbols["init_user_ns"]]
    else:
        return none
    idmapped: Bools = (own != 0) & ~among(own, np.array(plain, np.uint64))
    return idmapped


def _words(flags: int, names: tuple[tuple[int, str], ...], readonly: bool) -> list[str]:
    return ["ro" if readonly else "rw", *(name for bit, name in names if flags & bit)]


def _numbers(kernel: Kernel, mount: U64, member: str) -> NDArray[np.int64]:
    value, ok = kernel.try_read(mount, "mount", member)
    return np.where(ok & (value > 0), value, -1).astype(np.int64)


def _devices(kernel: Kernel, superblock: U64, blank: Bools) -> list[str | None]:
    return [None if bad else device for device, bad in zip(fs.devices(kernel, superblock), blank, strict=True)]


def _super_options(kernel: Kernel, superblock: U64, blank: Bools) -> list[list[str] | None]:
    flags = kernel.read(superblock, "super_block", "s_flags").astype(np.int64).tolist()
    return [None if bad else _words(bits, _SB_FLAGS, bool(bits & 1)) for bits, bad in zip(flags, blank, strict=True)]


def _with_subtype(kernel: Kernel, superblock: U64, kinds: list[str | None]) -> list[str | None]:
    """`fuse.s3fs`: the file system type, and what its server calls itself."""
    below = texts(kernel.strings(kernel.pointer(superblock, "super_block", "s_subtype"), 64))
    return [f"{kind}.{sub}" if kind and sub else kind for kind, sub in zip(kinds, below, strict=True)]


def _roots(kernel: Kernel, mounts: Mounts, top: U64, is_nsfs: list[bool]) -> list[str | None]:
    """Which directory of its file system each mount shows; of a namespace's file its kind and number."""
    inode = np.where(is_nsfs, kernel.pointer(top, "dentry", "d_inode", gap=False), np.uint64(0))
    paths = [mounts.dentries.path(entry) for entry in top.tolist()]
    named = nsproxy.links(kernel, inode)
    return texts([name if ns else path for ns, name, path in zip(is_nsfs, named, paths, strict=True)])


def _visible(mount: U64, parent: U64, root: U64) -> Bools:
    """Whether the way from each mount up through its parents meets the root that the namespace's processes have."""
    order = np.argsort(mount)
    current, visible = np.arange(len(mount)), np.zeros(len(mount), bool)
    for _ in range(_DEPTH if len(mount) else 0):
        visible |= mount[current] == root
        row = rows_of(mount[order], parent[current])
        above = np.where(row >= 0, order[row], current)
        if (above == current).all():
            break
        current = above
    return visible


def _propagation(
    kernel: Kernel, mount: U64, space: U64, master: U64, flags: NDArray[np.int64], visible: Bools
) -> list[list[str] | None]:
    """Optional fields: shared:N, master:N, propagate_from:N (the nearest group above that is in sight), unbindable."""
    group = kernel.read(mount, "mount", "mnt_group_id").tolist()
    shared, unbindable = (flags & _SHARED) != 0, (flags & _UNBINDABLE) != 0
    if kernel.types.has("mount", "mnt_t_flags"):  # 6.17: moved out of mnt_flags
        moved = kernel.read(mount, "mount", "mnt_t_flags")
        shared, unbindable = (moved & 1) != 0, (moved & 2) != 0
    above = {int(member): int(up) for member, up in zip(mount, master, strict=True)}
    strange = distinct(master[(master != 0) & ~among(master, mount)])
    number = dict(zip(mount.tolist(), group, strict=True))
    number |= dict(zip(strange.tolist(), kernel.read(strange, "mount", "mnt_group_id").tolist(), strict=True))
    in_sight = {(int(of), member) for of, member, see in zip(space, group, visible, strict=True) if see}
    options: list[list[str] | None] = []
    for row, first in enumerate(master.tolist()):
        words = [f"shared:{group[row]}"] if shared[row] else []
        if first:
            words.append(f"master:{number[first]}")
            up, hops = first, 0
            while up and (int(space[row]), number.get(up)) not in in_sight and hops < _DEPTH:
                up, hops = above.get(up, 0), hops + 1
            if up and number[up] != number[first]:
                words.append(f"propagate_from:{number[up]}")
        options.append(words + (["unbindable"] if unbindable[row] else []))
    return options
