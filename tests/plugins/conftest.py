# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""One small node for all tests of plugins/linux."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kube.ram import RamSource
from tests.plugins.running import SMALL


@pytest.fixture
def node(node_of: Callable[[str], RamSource]) -> RamSource:
    """The node; read once."""
    return node_of(SMALL)
