# SPDX-License-Identifier: Apache-2.0
"""What each mount namespace shows and where it comes from on the node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memir.kernel import fs, overlayfs
from memir.kernel.engine import Kernel
from memir.kernel.mount import Mounts, namespace_mounts
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct


@dataclass(frozen=True)
class NamespaceMounts:
    """Mounts by the namespace that lists them: addresses of struct mnt_namespace and struct mount, uint64[n] both."""

    space: U64
    mount: U64

    def of(self, space: int) -> U64:
        """Those of one namespace."""
        mount: U64 = self.mount[self.space == np.uint64(space)]
        return mount


@dataclass(frozen=True)
class RootFilesystem:
    """The overlay a container has as its root, and where the node mounted it."""

    layers: overlayfs.Layers
    path: str | None


def mounts_by_namespace(kernel: Kernel, mounts: Mounts, namespace: U64) -> NamespaceMounts:
    """The mounts of these mount namespaces (unique addresses), loaded: paths can be made of them."""
    owner, mount = namespace_mounts(kernel, namespace)
    mounts.load(mount)
    return NamespaceMounts(namespace[owner], mount)


def root_filesystems(kernel: Kernel, mounts: Mounts, every: NamespaceMounts, host: int) -> dict[int, RootFilesystem]:
    """The overlay that each namespace, but the node's own (`host`), has as its root, by the namespace's address."""
    rows = [
        (space, address, mounts.known[address])
        for space, address in zip(every.space.tolist(), every.mount.tolist(), strict=True)
        if address in mounts.known
    ]
    superblocks = distinct(np.array([known.superblock for _, _, known in rows if known.superblock], np.uint64))
    overlays = superblocks[[kind == b"overlay" for kind in fs.types_of(kernel, superblocks)]]
    layers = dict(zip(overlays.tolist(), overlayfs.layers(kernel, overlays), strict=True))
    rows = [(space, address, known) for space, address, known in rows if space != host and known.superblock in layers]
    address = np.array([address for _, address, _ in rows], np.uint64)
    inside = mounts.paths(address, np.array([known.root for *_, known in rows], np.uint64))
    on_node = node_paths(mounts, every.of(host))
    roots: dict[int, RootFilesystem] = {}
    for (space, _, known), path in zip(rows, inside, strict=True):
        if path == b"/":
            place = on_node.get(known.superblock)
            text = None if place is None else place.decode("utf-8", "backslashreplace")
            roots[space] = RootFilesystem(layers[known.superblock], text)
    return roots


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
