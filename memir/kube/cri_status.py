# SPDX-License-Identifier: Apache-2.0
"""How containers began and ended, by containerd's CRI plugin: its status files, where page cache still has them.

<root>/io.containerd.grpc.v1.cri/containers/<id>/status is JSON that the plugin writes anew at each change (containerd
1.1 to 2.x, store/container/status.go). It is there from creation until the container is removed, so it tells of one
that ended before the kubelet's heap was written over. It is found below the folder that holds meta.db.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memir.kernel.dcache import children, unlinked
from memir.kernel.engine import Kernel
from memir.kernel.mount import Mounts
from memir.kernel.pagemap import file_pages
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct
from memir.kube.annotations import CONTAINER_ID
from memir.kube.fields import Fields
from memir.kube.tornjson import read_object

_FOLDERS = (b"io.containerd.grpc.v1.cri", b"containers")
_FILE = b"status"
_LIMIT = 256 << 10
_LATEST = 1 << 63


@dataclass(frozen=True, slots=True)
class CriStatus:
    """What one status file says.

    started_at, finished_at: ns since 1970 UTC in whole seconds, as the kubelet tells them; None while it has not
    happened. exit_code, reason: None until it has ended.
    """

    container_id: str
    where: str
    exit_code: int | None = None
    reason: str | None = None
    started_at: int | None = None
    finished_at: int | None = None


def cri_statuses(kernel: Kernel, mounts: Mounts, database: U64) -> dict[str, CriStatus]:
    """Status files by container id. database: dentries of meta.db, which lies two folders below containerd's root."""
    root = np.array([mounts.dentries.parent(mounts.dentries.parent(entry)) for entry in database.tolist()], np.uint64)
    folder = distinct(root[root != 0])
    for name in _FOLDERS:
        folder, _ = _inside(kernel, mounts, folder, name)
    owner, ident = children(kernel, folder)
    mounts.dentries.load(ident)
    ident = ident[~unlinked(kernel, ident)] if len(owner) else ident
    file, parent = _inside(kernel, mounts, ident, _FILE)
    inode = kernel.pointer(file, "dentry", "d_inode")
    file, parent, inode = file[inode != 0], parent[inode != 0], inode[inode != 0]
    statuses: dict[str, CriStatus] = {}
    for entry, above, pages in zip(file.tolist(), parent.tolist(), file_pages(kernel, inode, _LIMIT), strict=True):
        container = (mounts.dentries.name(above) or b"").decode("ascii", "replace")
        if not CONTAINER_ID.fullmatch(container) or not pages or any(page is None for page in pages):
            continue
        where = (mounts.dentries.path(entry) or b"status").decode("utf-8", "backslashreplace")
        status = parse_status(b"".join(page or b"" for page in pages), container, where)
        if status is not None:
            statuses[container] = status
    return statuses


def parse_status(raw: bytes, container_id: str, where: str) -> CriStatus | None:
    """A status file's JSON; None if it is none of version 1, or torn."""
    document = read_object(raw)
    if document is None or not document.complete or document.value.get("Version") != "v1":
        return None
    read, value = Fields(), document.value
    started = read.number(value, "StartedAt", _LATEST)
    finished = read.number(value, "FinishedAt", _LATEST)
    code = value.get("ExitCode")
    if not finished or not isinstance(code, int) or isinstance(code, bool) or abs(code) >= 1 << 31:
        return CriStatus(container_id, where, started_at=_seconds(started))
    # what the plugin itself answers where it noted no reason (server/container_status.go)
    reason = (read.string(value, "Reason") or "")[:128] or ("Error" if code else "Completed")
    return CriStatus(container_id, where, code, reason, _seconds(started), _seconds(finished))


def _inside(kernel: Kernel, mounts: Mounts, folder: U64, name: bytes) -> tuple[U64, U64]:
    """(entry of this name, its folder) for each folder that has it."""
    owner, child = children(kernel, folder)
    mounts.dentries.load(child)
    named = np.array([mounts.dentries.name(entry) == name for entry in child.tolist()], bool)
    if not named.any():
        return np.zeros(0, np.uint64), np.zeros(0, np.uint64)
    owner, child = owner[named], child[named]
    kept = ~unlinked(kernel, child)
    return child[kept], folder[owner[kept]]


def _seconds(moment: int | None) -> int | None:
    return moment // 1_000_000_000 * 1_000_000_000 if moment else None
