# SPDX-License-Identifier: Apache-2.0
"""Every inode, by three witnesses; names on the node and in containers as the recording has them; whose each is."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from memir.kube.inodes import KERNEL_OWN, every_inode
from memir.kube.ram import RamSource
from tests.images import case

NodeOf = Callable[[str], RamSource]
SMALL = ("s-5.10-small-v1", "s-6.1-small", "s-6.12-intruded", "s-7.2-small-la57", "arm64-6.12-small-lpa2")


def test_three_witnesses_agree(image: str, node_of: NodeOf) -> None:
    """Slabs have every inode; what a name or a page leads to is among them; pages are as many as each inode counts."""
    node = node_of(image)
    every = node.inodes
    assert every.seen["slab"].mean() > 0.995 and (np.diff(every.inodes.inode.astype(np.int64)) != 0).all()
    assert (every.seen["dentry"] | every.seen["slab"] | every.seen["page"]).all()
    # struct pages that name the mapping, against address_space.nrpages
    mapping, count = np.unique(node.pages.mapping, return_counts=True)
    own = node.kernel.embedded(every.inodes.inode, "inode", "i_data")
    known = dict(zip(own.tolist(), every.inodes.pages.tolist(), strict=True))
    by_page = dict(zip(mapping.tolist(), count.tolist(), strict=True))
    assert {address: many for address, many in known.items() if many} == by_page
    assert every_inode(node).stands_for.tolist() == every.stands_for.tolist()
    assert not [gap for gap in node.gaps if "inode" in gap.kind or "dentry" in gap.kind]


def test_upper_layers_as_recorded(image: str, node_of: NodeOf) -> None:
    """Both ways: files of upper layers on the node's disk, and no other but what has been deleted."""
    node = node_of(image)
    every = node.inodes
    recorded = {record["file"]: record["size"] for record in case(image).raw_truth().get("upper", ())}
    if not recorded:
        pytest.skip("the recording lists no upper layers")
    shown = {
        (every.names.on_node[name] or b"").decode(): (int(every.inodes.size[row]), int(every.inodes.nlink[row]))
        for row, name in enumerate(every.row.tolist())
        if every.layer[row] == "upper"
        and every.inodes.mode[row] >> 12 == 8
        # those that the recorder looked through
        and re.search(rb"/snapshots/[123][0-9]/fs/", every.names.on_node[name] or b"")
    }
    assert {path: size for path, (size, nlink) in shown.items() if nlink} == recorded
    gone = {path.rpartition("/")[2] for path, (_, nlink) in shown.items() if not nlink}
    assert gone == ({"dropper"})


@pytest.mark.parametrize("name", SMALL)
def test_owners_are_those_of_each_file_alone(name: str, node_of: NodeOf) -> None:
    """An inode that stands for others has the owners that each of them has when it is asked for itself."""
    node = node_of(name)
    every = node.inodes
    chosen = np.flatnonzero(~every.inodes.freed & (np.arange(len(every)) % 5 == 0))
    alone = node.owners.by_inode(every.inodes.inode[chosen])
    grouped = node.owners.by_inode(every.stands_for[chosen])
    assert [alone[row] for row in range(len(chosen))] == [grouped[row] for row in range(len(chosen))]
    assert len(np.unique(every.stands_for)) < len(every)
    assert set(every.stands_for[every.inodes.freed].tolist()) <= {0}


@pytest.mark.parametrize("name", SMALL)
def test_layers_and_kernel_file_systems(name: str, node_of: NodeOf) -> None:
    every = node_of(name).inodes
    kinds: dict[str | None, set[bytes]] = {}
    for layer, kind in zip(every.layer, every.fstype.tolist(), strict=True):
        kinds.setdefault(layer, set()).add(kind)
    assert kinds["merged"] == {b"overlay"} and KERNEL_OWN & kinds[None] >= {b"proc", b"sysfs", b"sockfs"}
    # what else has no layer is nowhere mounted: memory of the kernel itself
    assert not kinds[None] & {b"tmpfs", b"overlay", b"devtmpfs", b"rootfs", b"ramfs"}
    inside = {every.names.inside[row] for row in every.row[[layer == "upper" for layer in every.layer]].tolist()}
    assert {b"/tmp/server.log", b"/tmp/dropper", b"/etc/hosts"} <= inside
    # a token lies in a volume in RAM, which its container sees at the usual place
    token = b"/var/run/secrets/kubernetes.io/serviceaccount/token"
    rows = [row for row, name_row in enumerate(every.row.tolist()) if name_row >= 0
            and every.names.inside[name_row] == token]  # fmt: skip
    assert rows and {every.layer[row] for row in rows} == {"tmpfs"}
    assert all(b"/volumes/kubernetes.io~projected/" in (every.names.on_node[every.row[row]] or b"") for row in rows)
