# SPDX-License-Identifier: Apache-2.0
"""A pod as on Fargate, and an API server that knows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collect.fargate.rig import FargateRig, FargateServer


@pytest.fixture
def server(fargate_pod: FargateRig, tmp_path: Path) -> Iterator[FargateServer]:
    made = FargateServer()
    made.hold(fargate_pod)
    made.logs[f"{fargate_pod.namespace}/{fargate_pod.name}", "web", False] = b"2026-11-29T12:01:00Z second run\n"
    made.logs[f"{fargate_pod.namespace}/{fargate_pod.name}", "web", True] = b"2026-11-29T12:00:00Z first run\n"
    made.objects["/api/v1/events"] = []
    made.start()
    made.kubeconfig(tmp_path / "kubeconfig")
    yield made
    made.stop()
