# SPDX-License-Identifier: Apache-2.0
"""fs/proc/fd.c and base.c: what readlink shows of files that processes use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import fs, nsproxy
from memir.kernel.blank import whole
from memir.kernel.dcache import unlinked
from memir.kernel.engine import texts
from memir.kernel.mount import Mounts, mount_of
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import among

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_FMODE_NOACCOUNT = 1 << 29
_KINDS = {1: "fifo", 2: "char", 4: "directory", 6: "block", 8: "regular", 10: "symlink", 12: "socket", 0: "anonymous"}


@dataclass(frozen=True)
class Links:
    """Columns, one row a (mount, dentry): text without " (deleted)", None not known; kind of file; inode number, -1 not
    known; device as major:minor."""

    text: list[str | None]
    deleted: list[bool | None]
    kind: list[str | None]
    inode: NDArray[np.int64]
    device: list[str | None]


def sound(kernel: Kernel, file: U64) -> Bools:
    """Open files that are whole: with an inode that is their dentry's own, or the layer's where an overlay maps it."""
    inode = kernel.try_read(file, "file", "f_inode")[0].astype(np.uint64)
    dentry = kernel.try_read(file, "file", "f_path.dentry")[0].astype(np.uint64)
    same = kernel.try_read(dentry, "dentry", "d_inode")[0].astype(np.uint64) == inode
    mode = kernel.try_read(file, "file", "f_mode")[0].astype(np.uint64)
    layer = ((mode & np.uint64(_FMODE_NOACCOUNT)) != 0) & kernel.space.is_kernel_pointer(dentry)
    good: Bools = (same | layer) & (inode != 0) & whole(kernel, file, kernel.types.size("file"))
    return good


def user_paths(kernel: Kernel, file: U64) -> tuple[U64, U64]:
    """(struct mount, dentry) by which the user knows each file.

    6.7 (def3ae83da02): what maps a file of an overlay has a backing file, whose own path is the layer's; the user's is
    beside it. Both are 0 where that is not readable: the layer's is a name of its own, by which no user knows it.
    """
    mount = kernel.pointer(file, "file", "f_path.mnt")
    dentry = kernel.pointer(file, "file", "f_path.dentry")
    if kernel.types.has("backing_file", "user_path"):
        mode = kernel.read(file, "file", "f_mode").astype(np.uint64)
        backing = np.where((mode & np.uint64(_FMODE_NOACCOUNT)) != 0, file, np.uint64(0))
        user = [kernel.try_read(backing, "backing_file", f"user_path.{part}")[0].astype(np.uint64)
                for part in ("mnt", "dentry")]  # fmt: skip
        real = kernel.space.is_kernel_pointer(user[0]) & kernel.space.is_kernel_pointer(user[1]) & (backing != 0)
        none = np.uint64(0)
        lost = ~real & (backing != 0)
        mount = np.where(real, user[0], np.where(lost, none, mount))
        dentry = np.where(real, user[1], np.where(lost, none, dentry))
    return mount_of(kernel, mount), dentry


def inodes(kernel: Kernel, file: U64, dentry: U64) -> U64:
    """The inode of each file as /proc/PID/maps counts it: that of the user's dentry; before 6.7 that of the file."""
    own = kernel.pointer(file, "file", "f_inode")
    return own if not kernel.types.has("backing_file", "user_path") else kernel.pointer(dentry, "dentry", "d_inode")


def links(kernel: Kernel, mounts: Mounts, mount: U64, dentry: U64, inode: U64) -> Links:
    """What readlink shows of these files. inode: as inodes() gives them, or the dentries' own."""
    good = whole(kernel, inode, kernel.types.size("inode"))
    kernel.count_unread("inode of a file", inode, good)
    inode = np.where(good, inode, np.uint64(0))
    superblock = kernel.pointer(inode, "inode", "i_sb")
    unique, back = np.unique(superblock, return_inverse=True)
    named = [kind or None for kind in fs.types_of(kernel, unique)]
    devices = fs.devices(kernel, unique)
    kinds = [named[row] for row in back]
    number, ok = kernel.try_read(inode, "inode", "i_ino")
    ino = np.where(ok & (inode != 0), number.astype(np.int64), -1)
    mode, read = kernel.try_read(inode, "inode", "i_mode")
    # stat(2) leaves out of a pidfd's mode that it is a regular file (pidfs_getattr)
    types = np.where(np.array([kind == b"pidfs" for kind in kinds], bool), 0, mode)
    mounts.load(mount)
    paths = mounts.paths(mount, dentry)
    root_of = [known.root if (known := mounts.known.get(address)) else 0 for address in mount.tolist()]
    pseudo = np.array([mounts.dentries.parent(entry) == entry for entry in dentry.tolist()], bool)
    pseudo &= (dentry != 0) & (np.array(root_of, np.uint64) != dentry)
    spaces = nsproxy.links(kernel, np.where([kind == b"nsfs" for kind in kinds], inode, np.uint64(0)))
    text: list[bytes | None] = []
    for row, (kind, path, entry) in enumerate(zip(kinds, paths, dentry.tolist(), strict=True)):
        named_ino = b"[%d]" % ino[row] if ino[row] >= 0 else None
        match kind:
            case b"sockfs" | b"pipefs":
                label = {b"sockfs": b"socket:", b"pipefs": b"pipe:"}[kind]
                text.append(None if named_ino is None else label + named_ino)
            case b"pidfs":  # 6.9: a file system of their own, which goes on saying what they were before
                text.append(b"anon_inode:[pidfd]")
            case b"anon_inodefs":
                name = mounts.dentries.name(entry)
                text.append(None if name is None else b"anon_inode:" + name)
            case b"nsfs":
                text.append(spaces[row])
            case _:
                text.append(None if kind is None else path)
    odd = among(np.array([kind or b"" for kind in kinds], object), (b"sockfs", b"pipefs", b"anon_inodefs", b"nsfs"))
    odd |= np.array([kind == b"pidfs" for kind in kinds], bool)
    gone = unlinked(kernel, dentry) | pseudo
    # of a mount that is torn the root is not known, so that any root looks like one that has no name
    sure = good & np.array([kind is not None for kind in kinds], bool)
    sure &= whole(kernel, dentry, kernel.types.size("dentry")) & ~(pseudo & (np.array(root_of) == 0))
    return Links(
        text=[value if fine else None for value, fine in zip(texts(text), good, strict=True)],
        deleted=[value if fine else None for value, fine in zip((gone & ~odd).tolist(), sure, strict=True)],
        kind=[_KINDS.get(value >> 12) if fine else None for value, fine in zip(types.tolist(), read, strict=True)],
        inode=ino,
        device=[devices[row] if named[row] else None for row in back],
    )
