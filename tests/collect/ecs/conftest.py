# SPDX-License-Identifier: Apache-2.0
"""A task's container, and an ECS that knows it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.collect.ecs.rig import EcsServer
from tests.collect.fargate.rig import FargateRig


@pytest.fixture
def ecs_server(fargate_pod: FargateRig, monkeypatch: pytest.MonkeyPatch) -> Iterator[EcsServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    made = EcsServer(fargate_pod)
    made.start()
    yield made
    made.stop()
    assert made.wrong == []
