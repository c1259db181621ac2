# SPDX-License-Identifier: Apache-2.0
"""What each mount namespace shows and where it comes from on the node."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from memir.kernel import fs, overlayfs
from memir.kernel.engine import Kernel
from memir.kernel.mount import Mounts, namespace_mounts
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct


@dataclass
class MountSources:
    """sources: paths on the node that each mount namespace (by address) shows, bind and volume mounts alike.

    root: layers of the overlay that each namespace has as its root; rootfs: where that is mounted on the node.
    host: mounts of the node's own mount namespace (addresses).
    """

    sources: dict[int, list[str]] = field(default_factory=dict)
    root: dict[int, overlayfs.Layers] = field(default_factory=dict)
    rootfs: dict[int, str] = field(default_factory=dict)
    host: U64 = field(default_factory=lambda: np.zeros(0, np.uint64))


def mount_sources(kernel: Kernel, mounts: Mounts, namespace: U64, host: int) -> MountSources:
    """Read the mounts of these mount namespaces (unique addresses); `host` is the node's own."""
    owner, mount = namespace_mounts(kernel, namespace)
    mounts.load(mount)
    sources = MountSources(host=mount[namespace[owner] == host])
    on_node = node_paths(mounts, sources.host)
    superblocks = distinct(
        np.array([known.superblock for known in mounts.known.values() if known.superblock], np.uint64)
    )
    kinds = dict(zip(superblocks.tolist(), fs.types_of(kernel, superblocks), strict=True))
    overlays = np.array([address for address, kind in kinds.items() if kind == b"overlay"], np.uint64)
    layers = dict(zip(overlays.tolist(), overlayfs.layers(kernel, overlays), strict=True))
    for space, address in zip(namespace[owner].tolist(), mount.tolist(), strict=True):
        if space == host or address not in mounts.known:
            continue
        known = mounts.known[address]
        top = on_node.get(known.superblock)
        inside = mounts.dentries.path(known.root)
        if inside is not None:
            path = ((top or b"") + inside).rstrip(b"/") or b"/"
            sources.sources.setdefault(space, []).append(path.decode("utf-8", "backslashreplace"))
        if known.superblock in layers and mounts.paths(
            np.array([address], np.uint64), np.array([known.root], np.uint64)
        ) == [b"/"]:
            sources.root[space] = layers[known.superblock]
            if top is not None:
                sources.rootfs[space] = top.decode("utf-8", "backslashreplace")
    return sources


def node_paths(mounts: Mounts, host: U64) -> dict[int, bytes]:
    """Where each superblock's own root is mounted on the node; b"" for the node's root file system."""
    rows = [(address, mounts.known[address]) for address in host.tolist() if address in mounts.known]
    whole = [(address, known) for address, known in rows if mounts.dentries.parent(known.root) == known.root]
    address = np.array([known[0] for known in whole], np.uint64)
    root = np.array([known[1].root for known in whole], np.uint64)
    paths: dict[int, bytes] = {}
    for (_, known), path in zip(whole, mounts.paths(address, root), strict=True):
        if path is not None:
            paths.setdefault(known.superblock, path.rstrip(b"/"))
    return paths
