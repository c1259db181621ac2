# SPDX-License-Identifier: Apache-2.0
"""A pod that was collected from a node of this machine, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memir.acquire.transports.local import LocalTransport
from memir.collect.run import PodCollection
from memir.collect.target import by_uid
from tests.collect.podrig import PodRig


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodRig]:
    with PodRig(tmp_path_factory.mktemp("collected-pod")) as made:
        yield made


@pytest.fixture(scope="session")
def collected(rig: PodRig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    folder = tmp_path_factory.mktemp("collected") / "ev"
    PodCollection(LocalTransport(rig.root), by_uid(rig.uid, f"{rig.namespace}/{rig.name}"), folder).execute()
    return folder
