# SPDX-License-Identifier: Apache-2.0
"""`memir acquire pod`."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.acquire.settings import Shared
from memir.acquire.transports.pod.options import PodAcquireOptions
from memir.acquire.transports.pod.transport import PodTransport
from memir.errors import UsageError


def test_nodes() -> None:
    with pytest.raises(UsageError, match="which node"):
        PodAcquireOptions().names(Shared())
    own = PodAcquireOptions(node=["a", "a"], namespace="kube-system", no_node_hash=True)
    own.check(Shared())
    assert (own.names(Shared()), own.node_hash()) == (["a"], False)
    transport = own.transport("a", Shared(kubeconfig="k", context="c", resume=Path("ev")))
    assert isinstance(transport, PodTransport)
    assert (transport.node, transport.options.namespace) == ("a", "kube-system")
    assert own.transport("a", Shared(limit_rate="5M")).options.rate == 5 << 20  # type: ignore[attr-defined]  # a pod's
