# SPDX-License-Identifier: Apache-2.0
"""Files of the page cache by the name that they have: what logs and shell histories are read from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from memir.kernel import fs
from memir.kernel.dcache import named
from memir.kernel.pagemap import file_pages
from memir.kernel.rows import among
from memir.kube.cached_file import CachedFile

if TYPE_CHECKING:
    from memir.gaps import Gaps
    from memir.kernel.engine import Kernel
    from memir.kernel.mount import Mounts
    from memir.kernel.pagetable import U64
    from memir.kube.files import Files
    from memir.kube.owner import Owner

_REGULAR, _TYPE = 0o100000, 0o170000
# file systems whose files are no bytes that anybody wrote
_VIRTUAL = {b"proc", b"sysfs", b"cgroup", b"cgroup2", b"securityfs", b"debugfs", b"tracefs", b"bpf", b"overlay"}
LIMIT = 128 << 20
"""Bytes that are read of a file at most: journald's and the kubelet's are smaller by default."""
_MOST_FILES = 1 << 14


@dataclass(frozen=True)
class LogFile:
    """A file, where it lies, and whose it is. size: bytes that it has. cached: pages of it in the page cache."""

    path: str
    inode: int
    size: int
    cached: int
    owners: tuple[Owner, ...]


class Cached(Protocol):
    """What files are found in: memir.kube.ram.RamSource is one."""

    @property
    def kernel(self) -> Kernel: ...  # noqa: D102
    @property
    def mounts(self) -> Mounts: ...  # noqa: D102
    @property
    def dentry_slots(self) -> U64: ...  # noqa: D102
    @property
    def file_owners(self) -> Files: ...  # noqa: D102
    @property
    def gaps(self) -> Gaps: ...  # noqa: D102


def log_files(node: Cached, wanted: re.Pattern[bytes]) -> list[LogFile]:
    """Regular files in whose name a pattern is found (memir.kernel.dcache.named), deleted ones too, each once, by path.

    By the slab of dentries: a name that is in memory is found wherever it lies. Names on overlays are left out: their
    files lie on layers, where they are met themselves.
    """
    kernel = node.kernel
    dentry = _dentries(node)
    dentry = dentry[named(kernel, dentry, wanted)]
    inode = kernel.pointer(dentry, "dentry", "d_inode", gap=False)
    _, first = np.unique(inode, return_index=True)
    inode = inode[np.sort(first)]
    inode = inode[inode != 0]
    mode = kernel.read(inode, "inode", "i_mode").astype(np.int64)
    superblock = kernel.pointer(inode, "inode", "i_sb", gap=False)
    kinds = fs.types_of(kernel, superblock)
    inode = inode[((mode & _TYPE) == _REGULAR) & np.array([kind not in _VIRTUAL for kind in kinds], bool)]
    if len(inode) > _MOST_FILES:
        node.gaps.add("log file", "page cache", f"more than {_MOST_FILES} files", len(inode) - _MOST_FILES)
        inode = inode[:_MOST_FILES]
    mapping = kernel.pointer(inode, "inode", "i_mapping")
    about = node.file_owners.of(mapping.tolist())
    size = kernel.read(inode, "inode", "i_size").astype(np.int64)
    cached = kernel.read(mapping, "address_space", "nrpages").astype(np.int64)
    rows = zip(inode.tolist(), mapping.tolist(), size.tolist(), cached.tolist(), strict=True)
    files = [
        LogFile(about[place].path or about[place].source, number, length, count, about[place].owners)
        for number, place, length, count in rows
    ]
    return sorted(files, key=lambda file: (file.path, file.inode))


def content(node: Cached, file: LogFile) -> CachedFile:
    """What the page cache has of a file; what it has not is for the caller to count."""
    return CachedFile(file_pages(node.kernel, np.array([file.inode], np.uint64), LIMIT)[0])


def _dentries(node: Cached) -> U64:
    """Every dentry in use that has an inode."""
    kernel, every = node.kernel, node.dentry_slots
    superblock, ok = kernel.try_read(every, "dentry", "d_sb")
    known = np.array(sorted({mount.superblock for mount in node.mounts.known.values()}), np.uint64)
    used: U64 = every[ok & among(superblock, known) & (kernel.try_read(every, "dentry", "d_inode")[0] != 0)]
    return used
