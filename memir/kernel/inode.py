# SPDX-License-Identifier: Apache-2.0
"""include/linux/fs.h, struct inode: what inodes say of their files, and all of them by the slab caches they lie in.

Never by super_block.s_inodes: a list of thousands, one hop at a time, on which those of sockets and pipes are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memir.kernel import slab
from memir.kernel.blank import whole
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import among, distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

KINDS = {1: "fifo", 2: "char", 4: "directory", 6: "block", 8: "regular", 10: "symlink", 12: "socket", 0: "anonymous"}
"""By the upper four bits of i_mode; anonymous: of anon_inodefs, which gives none."""


@dataclass(frozen=True)
class Inodes:
    """Columns, a row an inode. mode: with the kind in bits 12 to 15. mtime, ctime, atime: int64[n], nanoseconds since
    1970, -1 not known. pages: int64[n], pages of its own that are cached. freed: its slot has been given back, and what
    stands in it is what was left. raw device numbers (char and block) in rdev.
    """

    inode: U64
    superblock: U64
    number: U64
    mode: I64
    uid: I64
    gid: I64
    size: I64
    nlink: I64
    rdev: I64
    mtime: I64
    ctime: I64
    atime: I64
    pages: I64
    freed: Bools


def inodes(kernel: Kernel, inode: U64) -> Inodes:
    """What these inodes (addresses) say; those that are torn are for the caller to leave out (sound)."""
    plain = {
        name: kernel.read(inode, "inode", path).astype(np.int64)
        for name, path in (("mode", "i_mode"), ("uid", "i_uid.val"), ("gid", "i_gid.val"), ("size", "i_size"),
                           ("nlink", "i_nlink"), ("rdev", "i_rdev"), ("pages", "i_data.nrpages"))
    }  # fmt: skip
    return Inodes(
        inode=inode,
        superblock=kernel.pointer(inode, "inode", "i_sb"),
        number=kernel.read(inode, "inode", "i_ino").astype(np.uint64),
        **plain,
        **{name: _time(kernel, inode, name[0]) for name in ("mtime", "ctime", "atime")},
        freed=freed(kernel, inode),
    )


def sound(kernel: Kernel, inode: U64, superblock: U64) -> Bools:
    """Inodes that are whole, of a kind that there is, and on one of the superblocks. bool[n]."""
    of = kernel.try_read(inode, "inode", "i_sb")[0]
    mode = kernel.try_read(inode, "inode", "i_mode")[0].astype(np.int64)
    mapping = kernel.pointer(inode, "inode", "i_mapping", gap=False)
    fine: Bools = among(of, superblock) & among(mode >> 12, list(KINDS)) & kernel.space.is_kernel_pointer(mapping)
    return fine & whole(kernel, inode, kernel.types.size("inode"))


def every_slot(kernel: Kernel, inode: U64) -> U64:
    """Where an inode is or was: all slots of the slab caches that these inodes lie in.

    Each file system's own struct has its inode somewhere inside: where, the inodes that are known say.
    """
    cache, start = slab.caches_of(kernel, inode)
    caches = distinct(cache[cache != 0])
    size = np.maximum(kernel.read(caches, "kmem_cache", "size").astype(np.uint64), np.uint64(1))
    inside = np.zeros(len(caches), np.uint64)
    for number, each in enumerate(caches.tolist()):
        offset = (inode[cache == each] - start[cache == each]) % size[number]
        values, counts = np.unique(offset, return_counts=True)
        inside[number] = values[counts.argmax()]
    row, slot = slab.slots(kernel, caches)
    return distinct(slot + inside[row])


def freed(kernel: Kernel, inode: U64) -> Bools:
    """Inodes that have been evicted (I_CLEAR): their slot is free, or about to be."""
    types = kernel.types
    named = types.enum("inode_state_flags_enum") or {}
    member = types.member("inode", "i_state")
    state = kernel.try_read(inode, "inode", "i_state.__state" if member.type.kind == "struct" else "i_state")[0]
    # da18ecbf0fb0 (6.12) put new bits below, when i_state had become an int; 6.19 has an enum of them
    clear = named.get("I_CLEAR", 1 << 8 if member.type.size == 4 else 1 << 6)
    gone: Bools = (state.astype(np.uint64) & np.uint64(clear)) != 0
    return gone


def birth(kernel: Kernel, inode: U64, fstype: NDArray[Any]) -> I64:
    """When files were made, nanoseconds since 1970, where the file system keeps it in memory; else -1.

    fstype: of each inode, as bytes. ext4: i_crtime; tmpfs since 5.18 (f7cd16a55837).
    """
    born = np.full(len(inode), -1, np.int64)
    for kind, struct in ((b"ext4", "ext4_inode_info"), (b"tmpfs", "shmem_inode_info")):
        rows = np.flatnonzero(fstype == kind)
        if len(rows) and kernel.types.exists(struct) and kernel.types.has(struct, "i_crtime.tv_sec"):
            own = kernel.container(inode[rows], struct, "vfs_inode")
            good = whole(kernel, own, kernel.types.size(struct))
            seconds = kernel.try_read(own, struct, "i_crtime.tv_sec")[0]
            born[rows] = _join(seconds, kernel.try_read(own, struct, "i_crtime.tv_nsec")[0], good & (seconds != 0))
    return born


def swapped(kernel: Kernel, inode: U64, fstype: NDArray[Any]) -> I64:
    """Pages of files on a tmpfs that are in swap: int64[n], 0 for other files. fstype: of each inode, as bytes.

    Those that zram or zswap hold are content that can be read, as the page cache's are (memir.kernel.pagemap).
    """
    count = np.zeros(len(inode), np.int64)
    rows = np.flatnonzero(fstype == b"tmpfs")
    if len(rows) and kernel.types.exists("shmem_inode_info"):
        own = kernel.container(inode[rows], "shmem_inode_info", "vfs_inode")
        value, ok = kernel.try_read(own, "shmem_inode_info", "swapped")
        fine = ok & whole(kernel, own, kernel.types.size("shmem_inode_info")) & (value < 1 << 40)
        count[rows] = np.where(fine, value.astype(np.int64), 0)
    return count


def _time(kernel: Kernel, inode: U64, letter: str) -> I64:
    """i_mtime, i_ctime or i_atime as nanoseconds since 1970."""
    # 6.11 (3aa63a569c64): two plain members; 6.6, 6.7: behind accessors, so with underscores
    name = f"i_{letter}time_sec"
    if not kernel.types.has("inode", name):
        name = kernel.first_member("inode", f"__i_{letter}time.tv_sec", f"i_{letter}time.tv_sec")
    seconds, read = kernel.try_read(inode, "inode", name)
    rest = kernel.try_read(inode, "inode", name.replace("_sec", "_nsec"))[0].astype(np.int64)
    # 6.13 (4e40eff0b573): bit 31 of i_ctime_nsec says that somebody has asked for it
    return _join(seconds, rest & 0x7FFFFFFF, read)


def _join(seconds: NDArray[Any], nanoseconds: NDArray[Any], known: Bools) -> I64:
    whole_seconds, rest = seconds.astype(np.int64), nanoseconds.astype(np.int64)
    fine = known & (whole_seconds >= 0) & (rest >= 0) & (rest < 1_000_000_000)
    # int64 holds nanoseconds until 2262
    fine &= whole_seconds < (1 << 63) // 1_000_000_000 - 1
    return np.where(fine, np.where(fine, whole_seconds, 0) * 1_000_000_000 + rest, -1)
