# SPDX-License-Identifier: Apache-2.0
"""What containers have changed of their images: files on the upper layers of their overlays, and which of them are what
every container has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import overlayfs
from memir.kernel.pagetable import Bools
from memir.kernel.rows import among, rows_of

if TYPE_CHECKING:
    from memir.kube.inodes import NodeInodes
    from memir.kube.ram import RamSource

CREATED, MODIFIED, WHITEOUT, OPAQUE = "created", "modified", "whiteout", "opaque"
_CHAR, _DIRECTORY = 2, 4
_MADE_BY_RUNTIME = frozenset({
    "/", "/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/.dockerenv",
    "/dev/console", "/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/termination-log", "/run/.containerenv",
    "/run/secrets", "/var/run/secrets",
})  # fmt: skip
_SCRATCH = frozenset({"/tmp", "/var/tmp", "/run", "/var/run", "/var/cache", "/var/log"})
"""Directories that are made where an image lacks them: what lies in them is news, they are not."""
_PID_FILE = re.compile(r"/(?:var/)?run/(?:[^/]+/)*[^/]+\.pid")


def changes(source: RamSource, every: NodeInodes) -> list[str | None]:
    """What was done to each inode: created, modified (copied up from the image), whiteout (deleted), opaque (a
    directory that hides the image's). None for what lies on no upper layer, and where memory does not tell."""
    upper = np.flatnonzero(every.layer == "upper")
    change: list[str | None] = [None] * len(every)
    lower, opaque = _of_overlays(source, every, upper)
    kind, rdev = every.inodes.mode >> 12, every.inodes.rdev
    hidden = _hidden(source, every, upper[opaque & (kind[upper] == _DIRECTORY)])
    for row, count in zip(upper.tolist(), lower.tolist(), strict=True):
        if kind[row] == _CHAR and rdev[row] == 0:
            change[row] = WHITEOUT
        elif row in hidden:
            change[row] = OPAQUE
        elif count >= 0:
            change[row] = MODIFIED if count else CREATED
    return change


def _of_overlays(source: RamSource, every: NodeInodes, upper: NDArray[np.int64]) -> tuple[NDArray[np.int64], Bools]:
    """(how many layers below have the file, -1 not known; whether it is marked as opaque) of inodes of upper layers."""
    names, files = every.names, source.file_owners
    overlays = np.array(sorted(files.overlays), np.uint64)
    types = overlayfs.overlay_types(source.kernel, overlays) if len(overlays) else None
    rows = np.flatnonzero(among(names.superblock, overlays) & names.positive)
    if types is None or not len(rows) or not len(upper):
        return np.full(len(upper), -1), np.zeros(len(upper), bool)
    entries = overlayfs.entries(source.kernel, types, names.dentry[rows], names.inode[rows])
    # by inode: a file that was copied up is known to its overlay by the name of the temporary copy
    on_upper = source.kernel.pointer(entries.upper, "dentry", "d_inode", gap=False)
    order, sought = np.argsort(on_upper, kind="stable"), every.inodes.inode[upper]
    row = rows_of(on_upper[order], sought)
    place, same = order[row], row >= 0
    return np.where(same, entries.lower[place], -1), same & entries.opaque[place]


def _hidden(source: RamSource, every: NodeInodes, opaque: NDArray[np.int64]) -> set[int]:
    """Those of the opaque directories in whose place a layer below has something: new ones are marked as well."""
    names, layers = every.names, source.file_owners.layers
    if not len(opaque):
        return set()
    wanted = {names.inside[every.row[row]] for row in opaque.tolist()}
    on_layer = np.flatnonzero(names.positive & (names.layer >= 0))
    below = {
        (superblock, path)
        for row, path in zip(on_layer.tolist(), names.inside.take(on_layer).to_pylist(), strict=True)
        if path in wanted
        for superblock, top in layers[int(names.dentry[names.layer[row]])]
        if not top
    }
    return {
        row
        for row in opaque.tolist()
        for superblock, _ in layers[int(names.dentry[names.layer[every.row[row]]])]
        if (superblock, names.inside[every.row[row]]) in below
    }


def noise(source: RamSource, every: NodeInodes, change: list[str | None]) -> list[str | None]:
    """Why a change of an upper layer is no news: `mount point`, `runtime` (made for every container), `directory` (of
    the image, copied up because something in it changed, or one for scratch files), `bytecode`, `pid file`; None: it
    may be news."""
    points = mount_points(source)
    layers, names = source.file_owners.layers, every.names
    reasons: list[str | None] = [None] * len(every)
    for row in np.flatnonzero(every.layer == "upper").tolist():
        path = names.inside[every.row[row]]
        entry = int(names.dentry[names.layer[every.row[row]]])
        inside = set().union(*(points.get(superblock, set()) for superblock, _ in layers[entry]))
        if path is not None:
            plain = every.inodes.mode[row] >> 12 == _DIRECTORY or every.inodes.size[row] == 0
            reasons[row] = reason(
                path.decode("utf-8", "backslashreplace"), bool(plain), bool(every.inodes.mode[row] >> 12 == _DIRECTORY),
                change[row], inside,
            )  # fmt: skip
    return reasons


def reason(path: str, plain: bool, directory: bool, change: str | None, points: set[str]) -> str | None:
    """The same of one path. plain: a directory, or a file of no content; points: of mount_points."""
    if plain and path in points:
        return "mount point"
    if plain and path in _MADE_BY_RUNTIME:
        return "runtime"
    if directory and (change == MODIFIED or (change == CREATED and path in _SCRATCH)):
        return "directory"
    if "/__pycache__" in path and (directory or path.endswith(".pyc")):
        return "bytecode"
    return "pid file" if _PID_FILE.fullmatch(path) else None


def mount_points(source: RamSource) -> dict[int, set[str]]:
    """By overlay (superblock) where the containers that have it as their root have mounted something, and what lies
    above that."""
    info = source.mount_table
    overlays = source.file_owners.overlays
    root_of: dict[int, set[int]] = {}
    for space, block, point in zip(info.space.tolist(), info.superblock.tolist(), info.mount_point, strict=True):
        if block in overlays and point == "/":
            root_of.setdefault(space, set()).add(block)
    points: dict[int, set[str]] = {}
    for space, point in zip(info.space.tolist(), info.mount_point, strict=True):
        for block in root_of.get(space, ()):
            parts = (point or "").split("/")
            above = {"/".join(parts[:depth]) for depth in range(2, len(parts) + 1)}
            points.setdefault(block, set()).update(above)
    return points
