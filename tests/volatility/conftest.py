# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""What the tests of memir/volatility share: one small node, read once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kube.ram import RamSource


@pytest.fixture(scope="session")
def small_node(node_of: Callable[[str], RamSource]) -> RamSource:
    """A node with 4-level page tables, which a stock volatility3 reads too."""
    return node_of("s-6.1-small")
