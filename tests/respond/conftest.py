# SPDX-License-Identifier: Apache-2.0
"""A real API server for the tests that need its controllers, where the lab's binaries are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.respond.kube_rig import KubeRig, binaries


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeRig]:
    lab = binaries()
    if lab is None:
        pytest.skip("no kube-apiserver and etcd: tests/lab/check respond builds them")
    made = KubeRig(tmp_path_factory.mktemp("kube"), Path(lab))
    try:
        made.start()
        made.node("node-1")
        yield made
    finally:
        made.stop()
