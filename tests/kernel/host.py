# SPDX-License-Identifier: Apache-2.0
"""Mounts and files of the node itself, for tests that compare them with what its first process saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from memir.kernel import fs
from memir.kernel.mount import Mounts, namespace_mounts
from memir.kube.ram import RamSource
from tests.images import case, cases

SMALL = sorted(name for name, image in cases().items() if image.small)
"""Images whose truth has mount tables, open files, and the digests of files."""


@dataclass(frozen=True)
class Recorded:
    """A mount as /proc/PID/mountinfo has it. device: as s_dev has it."""

    path: str
    device: int
    kind: str


def records(image: str) -> dict[int, dict[str, Any]]:
    """Raw records of the image's processes by pid, without the recorder itself, which has gone on since."""
    return {one["pid"]: one for one in case(image).raw_truth()["proc"] if not one["self"]}


def mountinfo(text: str) -> dict[int, Recorded]:
    """Mounts by their id."""
    found = {}
    for line in text.splitlines():
        own, rest = line.split(" - ")
        fields = own.split(" ")
        major, minor = fields[2].split(":")
        found[int(fields[0])] = Recorded(fields[4], int(major) << 20 | int(minor), rest.split(" ")[0])
    return found


def mounts_of(node: RamSource, pid: int) -> tuple[Mounts, np.ndarray[tuple[int], np.dtype[np.uint64]]]:
    """The mounts of a process's namespace: all loaded, and the addresses of each struct mount."""
    kernel = node.kernel
    row = next(at for at, row in enumerate(node.processes.rows) if row.pid == pid)
    owner, mount = namespace_mounts(kernel, node.processes.mnt_ns[row : row + 1])
    assert not owner.any()
    mounts = Mounts(kernel)
    mounts.load(mount)
    return mounts, mount


def host_files(node: RamSource) -> dict[str, int]:
    """Every file that memory knows of the file system that process 1 has at /: dentry by path."""
    mounts, mount = mounts_of(node, 1)
    roots = np.array([mounts.known[at].root for at in mount.tolist()], np.uint64)
    paths = mounts.paths(mount, roots)
    rows = np.flatnonzero([path == b"/" for path in paths])
    # what lies below the root, and is shown to nobody, was mounted before it
    top = int(mount[rows[node.kernel.read(mount[rows], "mount", "mnt_id").argmax()]])
    _, dentry = fs.tree(node.kernel, np.array([mounts.known[top].superblock], np.uint64))
    mounts.dentries.load(dentry)
    return {
        path.decode("utf-8", "backslashreplace"): of
        for of in dentry.tolist()
        if (path := mounts.dentries.path(of)) is not None
    }
