# SPDX-License-Identifier: Apache-2.0
"""Layers of containers' overlays, as the recording's mount options name them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel import fs
from memir.kube.layers import layer_roots, nearest_above, overlays_of
from memir.kube.ram import RamSource
from tests.images import case

IMAGES = ("s-6.1-small", "s-7.2-small-la57", "arm64-6.12-small-lpa2")


def superblocks(node: RamSource) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    assert node.containers  # reads the mounts
    return np.array(sorted({mount.superblock for mount in node.mounts.known.values()}), np.uint64)


@pytest.mark.parametrize("name", IMAGES)
def test_layers_of_an_image(name: str, node_of: Callable[[str], RamSource]) -> None:
    node = node_of(name)
    every = superblocks(node)
    overlays = overlays_of(node.kernel, every)
    kinds = dict(zip(every.tolist(), fs.types_of(node.kernel, every), strict=True))
    assert overlays.tolist() == [each for each in every.tolist() if kinds[each] == b"overlay"]
    roots = layer_roots(node.kernel, overlays)
    uppers = [dentry for dentry, layers in roots.items() if any(upper for _, upper in layers)]
    # every pod's container has an upper directory of its own, below the runtime's
    node.mounts.dentries.load(np.array(uppers, np.uint64))
    paths = {node.mounts.dentries.path(dentry) for dentry in uppers}
    containers = {pod["id"] for pod in case(name).raw_truth()["pod"]}
    assert len(uppers) == len(overlays) >= len(containers)
    assert all(path is not None and b"containerd" in path for path in paths)
    assert {superblock for layers in roots.values() for superblock, _ in layers} == set(overlays.tolist())
    # lower layers are shared: the sandboxes of all pods have one
    assert max(len({superblock for superblock, _ in layers}) for layers in roots.values()) >= 3


def test_no_overlays(node_of: Callable[[str], RamSource]) -> None:
    kernel, none = node_of(IMAGES[0]).kernel, np.zeros(0, np.uint64)
    assert overlays_of(kernel, none).tolist() == []
    assert layer_roots(kernel, none) == {}


def test_nearest_above(node_of: Callable[[str], RamSource]) -> None:
    node = node_of(IMAGES[0])
    dentries = node.mounts.dentries
    roots = layer_roots(node.kernel, overlays_of(node.kernel, superblocks(node)))
    upper = next(dentry for dentry, layers in roots.items() if layers[0][1])
    dentries.load(np.array([upper], np.uint64))
    parent = dentries.parent(upper)
    assert nearest_above(dentries, upper, {upper, parent}) == upper
    assert nearest_above(dentries, upper, {parent}) == parent
    assert nearest_above(dentries, parent, {upper}) is None
    assert nearest_above(dentries, upper, set()) is None
