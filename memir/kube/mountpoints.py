# SPDX-License-Identifier: Apache-2.0
"""What each mount namespace shows and where it comes from on the node."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from memir.kernel import fs, overlayfs
from memir.kernel.engine import Kernel
from memir.kernel.mount import Mounts, namespace_mounts
from memir.kernel.pagetable import U64


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
    found = MountSources(host=mount[namespace[owner] == host])
    on_node = node_paths(mounts, found.host)
    superblocks = np.unique(np.array([one.superblock for one in mounts.known.values() if one.superblock], np.uint64))
    kinds = dict(zip(superblocks.tolist(), fs.types_of(kernel, superblocks), strict=True))
    overlays = np.array([at for at, kind in kinds.items() if kind == b"overlay"], np.uint64)
    layers = dict(zip(overlays.tolist(), overlayfs.layers(kernel, overlays), strict=True))
    for space, at in zip(namespace[owner].tolist(), mount.tolist(), strict=True):
        if space == host or at not in mounts.known:
            continue
        one = mounts.known[at]
        top = on_node.get(one.superblock)
        inside = mounts.dentries.path(one.root)
        if inside is not None:
            path = ((top or b"") + inside).rstrip(b"/") or b"/"
            found.sources.setdefault(space, []).append(path.decode("utf-8", "backslashreplace"))
        if one.superblock in layers and mounts.paths(np.array([at], np.uint64), np.array([one.root], np.uint64)) == [
            b"/"
        ]:
            found.root[space] = layers[one.superblock]
            if top is not None:
                found.rootfs[space] = top.decode("utf-8", "backslashreplace")
    return found


def node_paths(mounts: Mounts, host: U64) -> dict[int, bytes]:
    """Where each superblock's own root is mounted on the node; b"" for the node's root file system."""
    rows = [(at, mounts.known[at]) for at in host.tolist() if at in mounts.known]
    whole = [(at, one) for at, one in rows if mounts.dentries.parent(one.root) == one.root]
    at = np.array([one[0] for one in whole], np.uint64)
    root = np.array([one[1].root for one in whole], np.uint64)
    found: dict[int, bytes] = {}
    for (_, one), path in zip(whole, mounts.paths(at, root), strict=True):
        if path is not None:
            found.setdefault(one.superblock, path.rstrip(b"/"))
    return found
