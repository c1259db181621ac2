# SPDX-License-Identifier: Apache-2.0
"""The table `lookups`."""

from __future__ import annotations

from typing import Any

import numpy as np

from memir.kernel import fs
from memir.kernel.engine import texts
from memir.kernel.rows import among, rows_of
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    superblock       uint64       kernel virtual address of the file system's super_block
    device           string       major:minor of the file system
    fstype           string       type of the file system
    path             string       name that was looked for and is not there, within its file system
    node_path        string       the same on the node; null where the node has not mounted it
    container_path   string       the same as a container sees it; of an overlay, or of a layer that one has looked in
    layer            string       upper, lower (an overlay's directories) or merged (the overlay itself); else null
    dentry           uint64       kernel virtual address of struct dentry
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Every negative dentry that is hashed: what somebody looked for in vain, by file system and path.

    A shell leaves one in each directory of its PATH before the command's own, so those of a container's overlay are the
    commands that were run in it. They bear no time. tmpfs keeps none. Whose they are, the directory that they lie in
    says.
    """
    every, kernel = source.inodes, source.kernel
    names = every.names
    rows = np.flatnonzero(names.negative & among(names.superblock, every.inodes.superblock))
    blocks, back = np.unique(names.superblock[rows], return_inverse=True)
    kinds, devices = texts([kind or None for kind in fs.types_of(kernel, blocks)]), fs.devices(kernel, blocks)
    upper = source.file_owners.upper
    data: dict[str, Any] = {
        "superblock": names.superblock[rows].tolist(),
        "device": [devices[row] for row in back.tolist()],
        "fstype": [kinds[row] for row in back.tolist()],
        **{
            column: texts(values.take(rows).to_pylist())
            for column, values in (
                ("path", names.path), ("node_path", names.on_node), ("container_path", names.inside),
            )
        },
        "dentry": names.dentry[rows].tolist(),
        "source": ["struct dentry"] * len(rows),
    }  # fmt: skip
    layers = [int(names.dentry[place]) if place >= 0 else 0 for place in names.layer[rows].tolist()]
    data["layer"] = [
        ("upper" if upper[layer] else "lower") if layer else ("merged" if kind == "overlay" else None)
        for layer, kind in zip(layers, data["fstype"], strict=True)
    ]
    parent = names.inode[names.parent[rows]]
    place = rows_of(every.inodes.inode, parent)
    # a directory whose own inode is not known has no owner that could be asked for
    keys = np.where(place >= 0, every.stands_for[place] if len(every) else np.uint64(0), np.uint64(0))
    order = sorted(range(len(rows)), key=lambda row: (data["superblock"][row], data["path"][row] or "", layers[row]))
    return Frame(data, keys).take(order)


TABLE = Table(
    "lookups", "Names that were looked for and are not there: what a container's shells tried to run.", COLUMNS,
    "inode", {"ram": read},
)  # fmt: skip
