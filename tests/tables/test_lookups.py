# SPDX-License-Identifier: Apache-2.0
"""Names looked for in vain: what the lab's intruder ran, in the order of PATH; every one of the reference's count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from memir.kube.ram import RamSource
from memir.tables.lookups import TABLE, read

NodeOf = Callable[[str], RamSource]
RAN = ("cat", "cp", "mkdir", "python3", "rm", "setsid", "sh", "sleep")


def test_a_kubernetes_node(node_of: NodeOf, image: str) -> None:
    if not image.startswith("node-"):
        pytest.skip("no node of the lab")
    rows = TABLE.read(node_of(image)).rows()
    # as counted by another walk over the slab of dentries
    assert Counter(row["fstype"] for row in rows) == {"ext4": 451, "sysfs": 422, "cgroup2": 162, "overlay": 87}
    api = {row["container_path"] for row in rows if row["container_name"] == "api" and row["layer"] == "merged"}
    # the script of the intruder (and the server's own start) ran these, each through the PATH
    ran = {path.rpartition("/")[2] for path in api if path.startswith("/usr/local/sbin/")}
    assert ran == set(RAN)
    assert {f"{folder}/{name}" for folder in ("/usr/local/bin", "/usr/local/sbin", "/usr/sbin") for name in RAN} <= api
    web = {
        row["container_path"] for row in rows if (row["pod_name"] or "").startswith("web-") and row["layer"] == "merged"
    }
    assert "/usr/local/sbin/nginx" in web and not {path for path in web if path.rpartition("/")[2] in RAN}


def test_rows(image: str, node_of: NodeOf) -> None:
    """None of them has an inode, none is told twice, and none is told of a file that is there; tmpfs keeps none."""
    node = node_of(image)
    rows = TABLE.read(node).rows()
    assert len(read(node)) == len(rows) == len({row["dentry"] for row in rows})
    names = node.inodes.names
    there = {
        (int(names.superblock[row]), (names.path[row] or b"").decode("utf-8", "backslashreplace"))
        for row in names.positive.nonzero()[0].tolist()
        if not names.unlinked[row]
    }
    assert not there & {(row["superblock"], row["path"]) for row in rows}
    assert "tmpfs" not in {row["fstype"] for row in rows}
    assert all(row["layer"] in ("upper", "lower", "merged", None) and row["device"] for row in rows)


def test_a_directory_whose_inode_is_not_known_gives_no_owner(node_of: NodeOf) -> None:
    """Of two files of a container, made names that are not there, one lies in a directory whose inode is lost."""
    node = RamSource(node_of("s-6.12-intruded").kernel)
    every = node.inodes
    names, overlays = every.names, np.array(sorted(node.file_owners.overlays), np.uint64)
    inside = np.flatnonzero(np.isin(names.superblock, overlays) & names.positive & (every.names.parent >= 0))
    directory = names.parent[inside]
    rows = inside[(directory != inside) & (names.inode[directory] != 0)]
    rows = rows[np.unique(names.parent[rows], return_index=True)[1]][:2]
    negative = np.zeros(len(names.negative), bool)
    negative[rows] = True
    inode = names.inode.copy()
    inode[names.parent[rows[1]]] = 0
    node.__dict__["inodes"] = replace(every, names=replace(names, negative=negative, inode=inode))
    keys = dict(zip(read(node)["dentry"], read(node).keys.tolist(), strict=True))
    place = np.searchsorted(every.inodes.inode, names.inode[names.parent[rows[0]]])
    assert keys == {
        int(names.dentry[rows[0]]): int(every.stands_for[place]),
        int(names.dentry[rows[1]]): 0,
    }
    assert keys[int(names.dentry[rows[0]])] != 0
