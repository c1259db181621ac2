# SPDX-License-Identifier: Apache-2.0
"""The table `inodes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memir.collected.layers import inode_rows
from memir.kernel import fs, inode
from memir.kernel.engine import texts
from memir.kernel.filemap import PAGE, contents, dirty, sha256
from memir.kernel.rows import rows_of
from memir.kube import drift
from memir.kube.inodes import NodeInodes
from memir.kube.ram import RamSource
from memir.tables.frame import Frame, coded, taken, text_array
from memir.tables.table import Table, columns, frame_of

if TYPE_CHECKING:
    from memir.collected.source import CollectedSource

MAX_HASHED = 256 << 20
"""Bytes of files that are hashed for one table, those of containers' own changes first, then small before large."""

COLUMNS = columns("""
    superblock       uint64       kernel virtual address of its file system's super_block
    device           string       major:minor of its file system
    fstype           string       type of its file system
    inode            uint64       inode number
    path             string       path within its file system; null if memory has no name of it
    node_path        string       path on the node; null where the node has not mounted it
    container_path   string       path as its container sees it: on a layer, in a volume, in what it has mounted alone
    kind             string       regular, directory, char, block, fifo, socket, symlink or anonymous
    mode             uint32       permission bits, with set-user-id, set-group-id and sticky
    uid              uint32       owner, as the node numbers users
    gid              uint32       group
    size             int64        bytes
    nlink            uint32       names that it has
    mtime            timestamp    when its content last changed
    ctime            timestamp    when its inode last changed
    atime            timestamp    when it was last read
    btime            timestamp    when it was made, where its file system keeps that in memory (ext4, tmpfs)
    cached           int64        bytes of its content in the page cache, in whole pages
    dirty            int64        of these, bytes that have not been written back
    deleted          bool         it has no name any more, or never had one (memfd)
    freed            bool         its inode has been freed, and this is what was left in it
    layer            string       upper, lower or merged (an overlay's), tmpfs, volume or node; null for no file
    change           string       on an upper layer: created, modified, whiteout (deleted) or opaque (replaced)
    noise            string       why such a change is no news: mount point, runtime, directory, bytecode, pid file
    sha256           string       hash of the content; null if a part is missing, if it is empty, or too much
    seen_by          list<string> where it was met: dentry (by a name), slab, page (of the page cache), upper.tar
    address          uint64       kernel virtual address of struct inode
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Every inode in the dentry cache, in slabs of inodes and in the page cache, by file system and number."""
    every, kernel = source.inodes, source.kernel
    rows, names = every.inodes, every.names
    blocks, first, back = np.unique(rows.superblock, return_index=True, return_inverse=True)
    change = drift.changes(source, every)
    paths = {
        column: text_array(values.take(every.row))
        for column, values in (("path", names.path), ("node_path", names.on_node), ("container_path", names.inside))
    }
    times = {column: getattr(rows, column) for column in ("mtime", "ctime", "atime")}
    times["btime"] = inode.birth(kernel, rows.inode, every.fstype)
    data: dict[str, Any] = {
        "superblock": rows.superblock,
        "device": coded(fs.devices(kernel, blocks), back),
        "fstype": coded(texts([kind or None for kind in every.fstype[first].tolist()]), back),
        "inode": rows.number,
        **paths,
        "kind": coded([inode.KINDS.get(kind) for kind in range(16)], (rows.mode >> 12) & 15),
        "mode": (rows.mode & 0o7777).astype(np.uint32),
        **{name: getattr(rows, name).astype(np.uint32) for name in ("uid", "gid", "nlink")},
        "size": rows.size,
        **{name: _timestamps(values) for name, values in times.items()},
        "cached": rows.pages * PAGE,
        "dirty": _dirty(source, every),
        "deleted": rows.nlink == 0,
        "freed": rows.freed,
        "layer": every.layer,
        "change": np.array(change, object),
        "noise": np.array(drift.noise(source, every, change), object),
        "sha256": np.array(_hashes(source, every), object),
        "seen_by": _seen_by(every),
        "address": rows.inode,
        "source": coded(["struct inode"], np.zeros(len(every), np.int64)),
    }
    order = np.lexsort((rows.inode, rows.number, rows.superblock))
    for name in list(data):  # one by one, the old one let go: a node may have a million files
        data[name] = taken(data.pop(name), order)
    return Frame(data, every.stands_for[order])


def _seen_by(every: NodeInodes) -> Any:
    """Names of the witnesses of each: there are few sets of them."""
    import pyarrow as pa

    names = list(every.seen)
    code = np.zeros(len(every), np.int64)
    for bit, mask in enumerate(every.seen.values()):
        code |= mask.astype(np.int64) << bit
    sets = [[name for bit, name in enumerate(names) if number >> bit & 1] for number in range(1 << len(names))]
    return pa.array(sets, pa.list_(pa.string())).take(code)


def _timestamps(nanoseconds: NDArray[np.int64]) -> Any:
    return np.ma.masked_array(nanoseconds // 1000, nanoseconds < 0)


def _dirty(source: RamSource, every: NodeInodes) -> NDArray[np.int64]:
    """Bytes of dirty pages of each inode, by the struct pages that name its mapping."""
    kernel, pages = source.kernel, source.pages
    changed = dirty(kernel, pages.file_pfn)
    hosts, back = np.unique(pages.mapping[changed], return_inverse=True)
    count = np.bincount(back, minlength=len(hosts)) * PAGE
    owner = kernel.pointer(hosts, "address_space", "host", gap=False)
    row = rows_of(every.inodes.inode, owner)
    size = np.zeros(len(every), np.int64)
    np.add.at(size, row[row >= 0], count[row >= 0])
    return size


def _hashes(source: RamSource, every: NodeInodes) -> list[str | None]:
    """SHA-256 of regular files that are whole in RAM, up to MAX_HASHED bytes; what is left out is counted."""
    rows, kernel = every.inodes, source.kernel
    hashes: list[str | None] = [None] * len(every)
    chosen = np.flatnonzero(every.cached_files & (every.held >= -(-rows.size // PAGE)))
    later = every.layer[chosen] != "upper"
    chosen = chosen[np.lexsort((rows.size[chosen], later))]
    fits = np.cumsum(rows.size[chosen]) <= MAX_HASHED
    kernel.gaps.add("sha256", "inodes", f"of what is whole more than {MAX_HASHED >> 20} MiB", int((~fits).sum()))
    chosen = chosen[fits]
    mapping = kernel.embedded(rows.inode[chosen], "inode", "i_data")
    for row, content in zip(chosen.tolist(), contents(kernel, mapping, rows.size[chosen]), strict=True):
        hashes[row] = sha256(kernel, content)
    return hashes


def read_collected(source: CollectedSource) -> Frame:
    """The same of a collected pod: what its writable layers hold, and root file systems where they were collected."""
    return frame_of(COLUMNS, source.gaps, *inode_rows(source))


TABLE = Table(
    "inodes", "Files that memory knows, by name, slab or cached page, and what containers changed of their images.",
    COLUMNS, "inode", {"ram": read, "pod": read_collected}, volatility="linux.drift",
)  # fmt: skip
