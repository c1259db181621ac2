# SPDX-License-Identifier: Apache-2.0
"""UNIX sockets: how many, their names, and their peers, which are each other's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel import af_unix
from memir.kube.ram import RamSource
from tests.images import case

NodeOf = Callable[[str], RamSource]


def test_names_and_peers(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    kernel = node.kernel
    net = np.unique(node.sockets.rows.net)
    found = af_unix.unix(kernel, net)
    names = af_unix.names(kernel, found)
    if case(image).small:
        lines = [line.split() for one in case(image).raw_truth()["net"] for line in one["unix"].splitlines()[1:]]
        assert sorted(name or "" for name in names) == sorted(" ".join(parts[7:]) for parts in lines)
        assert "/tmp/app.sock" in names
    else:
        assert {"/run/containerd/containerd.sock", "/run/systemd/private"} <= set(names)
    peer = af_unix.peers(kernel, found)
    stream = (peer != 0) & np.isin(peer, found) & (kernel.read(found, "sock", "sk_type") == 1)
    assert np.array_equal(af_unix.peers(kernel, peer[stream]), found[stream])
