# SPDX-License-Identifier: Apache-2.0
"""The table `pages`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from memir.kernel import frames as used
from memir.kernel import fs
from memir.kernel.code_address import CodeMap
from memir.kernel.engine import texts
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct
from memir.kube.owner import NODE, Owner, OwnerBatch, sort_owners
from memir.kube.page_holders import NOBODY, REVERSE, Groups, groups
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    kind             string       anonymous, file, tmpfs, block device, slab, page table, kernel stack, vmalloc, ...
    pid              int32        process that has it: anonymous memory, page tables, stacks; null if several or none
    pids             list<int32>  all processes that have it: what was shared by fork is one row of several processes
    path             string       file's path, as its container sees it; null if memory has no name of it
    deleted          bool         the file's name has been unlinked, or it never had one
    fstype           string       type of the file's file system
    inode            uint64       inode number of the file
    name             string       slab cache (caches are merged: its first user's name), or code that asked for vmalloc
    cgroup           string       cgroup that the frames are charged to (page.memcg_data), a second witness of whose
    cgroup_removed   bool         that cgroup has been removed: of a container or pod that has ended
    charged_pod_uid  string       pod that the cgroup's path names
    frames           int64        page frames of 4 KiB; 0: objects in frames that other rows count (slabs of a cgroup)
    bytes            int64        the same in bytes; of slabs without the objects that have rows of their own
    mapped           int64        how many of the frames processes map
    source           string       how it is known
""")
_OF_FSTYPE = {"tmpfs": "tmpfs", "devtmpfs": "tmpfs", "bdev": "block device", "hugetlbfs": "hugetlb"}
_SOURCES = {
    used.ANONYMOUS: "page table", used.FILE: "page.mapping", used.FREE: "free lists", used.SLAB: "slab_cache",
    used.TABLE: "page table walk", used.STACK: "task_struct.stack", used.VMALLOC: "vm_struct",
    used.NOT_KNOWN: "no rule names it",
}  # fmt: skip


def read(source: RamSource) -> Frame:
    """Every frame of the image in one row, the rows of most frames first; what no rule names is a row too.

    Behind them the objects in slabs that are charged to cgroups: a row each cache and cgroup.
    """
    every = groups(source)
    files, pids, paths = _files(source, every), _pids(source, every), _cgroups(source, every)
    rows = range(len(every))
    kind = every.kind.tolist()
    data: dict[str, Any] = {
        "kind": [files[row]["kind"] if row in files else used.KINDS[kind[row]] for row in rows],
        "pid": [pids[row][0] if len(pids[row]) == 1 else None for row in rows],
        "pids": pids,
        "path": [files[row]["path"] if row in files else None for row in rows],
        "deleted": [files[row]["deleted"] if row in files else None for row in rows],
        "fstype": [files[row]["fstype"] if row in files else None for row in rows],
        "inode": [files[row]["inode"] if row in files else None for row in rows],
        "name": _names(source, every),
        "cgroup": [path for path, _, _ in paths],
        "cgroup_removed": [removed for _, removed, _ in paths],
        "charged_pod_uid": [owner.pod_uid if owner is not None else None for _, _, owner in paths],
        "frames": every.frames,
        "bytes": every.frames << 12,
        "mapped": every.mapped,
        "source": [_source(*pair) for pair in zip(kind, every.how.tolist(), strict=True)],
    }
    owners = [_owners(source, every, row, files, pids[row], paths[row][2]) for row in rows]
    more, whose = _objects(source, every, data)
    data = {name: [*values, *more[name]] for name, values in data.items()}
    data |= OwnerBatch.of_lists([*owners, *whose]).columns()
    return Frame(data, np.zeros(len(owners) + len(whose), np.uint64))


def _objects(
    source: RamSource, every: Groups, data: dict[str, Any]
) -> tuple[dict[str, list[Any]], list[tuple[Owner, ...]]]:
    """Rows of the objects in slabs that are charged to a cgroup, whose bytes are taken from the rows of the slabs."""
    kernel, charged = source.kernel, every.objects
    size = charged.bytes
    bytes_ = data["bytes"].copy()
    for cache in distinct(charged.cache).tolist():
        left = int(size[charged.cache == np.uint64(cache)].sum())
        for row in np.flatnonzero((every.kind == used.SLAB) & (every.holder == np.uint64(cache))).tolist():
            taken = min(left, int(bytes_[row]))
            bytes_[row] -= taken
            left -= taken
    data["bytes"] = bytes_
    names = texts(kernel.strings(kernel.pointer(charged.cache, "kmem_cache", "name", gap=False), 64))
    told = _paths(source, charged.cgroup)
    none = [None] * len(names)
    rows: dict[str, list[Any]] = dict.fromkeys(data, none)
    rows |= {
        "kind": [used.KINDS[used.SLAB]] * len(names), "pids": [[] for _ in names], "name": list(names),
        "cgroup": [path for path, _, _ in told], "cgroup_removed": [removed for _, removed, _ in told],
        "charged_pod_uid": [owner.pod_uid if owner is not None else None for _, _, owner in told],
        "frames": [0] * len(names), "bytes": size.tolist(), "mapped": [0] * len(names),
        "source": ["obj_cgroups"] * len(names),
    }  # fmt: skip
    return rows, [(NODE,) if owner is None else (owner,) for _, _, owner in told]


def _source(kind: int, how: int) -> str:
    if how:
        return {REVERSE: "anon_vma: mapped by no page table now", NOBODY: "no process that was found has it"}[how]
    return _SOURCES.get(kind, "struct page")


def _files(source: RamSource, every: Groups) -> dict[int, dict[str, Any]]:
    """What files' rows show, by row."""
    kernel = source.kernel
    rows = np.flatnonzero(every.kind == used.FILE)
    mapping = every.holder[rows]
    inode = kernel.pointer(mapping, "address_space", "host", gap=False)
    block, back = np.unique(kernel.pointer(inode, "inode", "i_sb", gap=False), return_inverse=True)
    kinds = texts(fs.types_of(kernel, block))
    numbers, read = kernel.try_read(inode, "inode", "i_ino")
    known = source.file_owners.of(mapping.tolist())
    told = {}
    for row, address, place, number, fine in zip(
        rows.tolist(), mapping.tolist(), back.reshape(-1).tolist(), numbers.tolist(), read.tolist(), strict=True
    ):
        info, fstype = known[address], kinds[place] or None
        told[row] = {
            "kind": _OF_FSTYPE.get(fstype or "", "file"), "path": info.path, "deleted": info.deleted,
            "fstype": fstype, "inode": number if fine else None, "owners": info.owners,
        }  # fmt: skip
    return told


def _pids(source: RamSource, every: Groups) -> list[list[int]]:
    """Processes of each row, ascending: of anonymous memory, page tables and stacks; else none."""
    users: dict[int, set[int]] = defaultdict(set)
    space = source.kernel.pointer(source.processes.living, "task_struct", "mm", gap=False)
    for mm, task in zip(space.tolist(), source.processes.living.tolist(), strict=True):
        if mm:
            users[mm].add(source.pid_of[task])
    pids = []
    for kind, holder, spaces in zip(every.kind.tolist(), every.holder.tolist(), every.spaces, strict=True):
        if kind == used.STACK:
            pids.append([source.pid_of[holder]] if holder in source.pid_of else [])
        else:
            homes = [holder] if kind == used.TABLE else spaces
            pids.append(sorted({pid for mm in homes for pid in users.get(mm, ())}))
    return pids


def _names(source: RamSource, every: Groups) -> list[str | None]:
    """Names of slab caches, and of the code that asked for vmalloc memory."""
    kernel = source.kernel
    cache = np.where(every.kind == used.SLAB, every.holder, np.uint64(0))
    name = texts(kernel.strings(kernel.pointer(cache, "kmem_cache", "name", gap=False), 64))
    code = _symbols(source, every.holder[every.kind == used.VMALLOC])
    return [
        code.get(holder) if kind == used.VMALLOC else name[row]
        for row, (kind, holder) in enumerate(zip(every.kind.tolist(), every.holder.tolist(), strict=True))
    ]


def _symbols(source: RamSource, code: U64) -> dict[int, str | None]:
    """The function that each address lies in; of a module's none."""
    known = CodeMap(source.kernel, source.modules)
    return {address: known.find(address).symbol for address in distinct(code).tolist()}


def _cgroups(source: RamSource, every: Groups) -> list[tuple[str | None, bool | None, Owner | None]]:
    """(path, removed, whose the path says it is) of the cgroup that each row is charged to."""
    return _paths(source, every.charge)


def _paths(source: RamSource, cgroup: U64) -> list[tuple[str | None, bool | None, Owner | None]]:
    """The same of struct cgroups."""
    tree = source.cgroup_tree
    known = {
        address: (path, gone, None if path is None else source.owners.cgroup(path))
        for address, path, gone in zip(tree.cgroup.tolist(), tree.path, tree.dying.tolist(), strict=True)
    }
    return [known.get(address, (None, None, None)) for address in cgroup.tolist()]


def _owners(
    source: RamSource, every: Groups, row: int, files: dict[int, dict[str, Any]], pids: list[int], charged: Owner | None
) -> tuple[Owner, ...]:
    """Whose a row is: of its processes, its file, else the pod whose cgroup is charged, else the node's."""
    kind = int(every.kind[row])
    if row in files:
        owners: tuple[Owner, ...] = files[row]["owners"]
        return owners
    if kind == used.FREE:
        return ()
    people = [source.owners.process(pid) for pid in pids]
    if pids:
        return sort_owners(owner for owner in people if owner is not None)
    if charged is not None:
        return (charged,)
    return () if kind in (used.NOT_KNOWN, used.ANONYMOUS) else (NODE,)


TABLE = Table(
    "pages", "RAM, every frame once: what it is used for, and by which process, file, cache, pod.", COLUMNS, "task",
    {"ram": read},
)  # fmt: skip
