# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""What the tests of plugins/linux share: rows that a plugin gives on one small node."""

from __future__ import annotations

from typing import Any

from memir.kube.ram import RamSource
from memir.volatility.run import run_plugin
from tests.images import ROOT

SMALL = "s-6.1-small"
PODS = {"web-7d4b9c6f5-abcde", "miner-0", "agent-x9z2k"}


def rows_by_plugin(node: RamSource, plugin: str) -> list[dict[str, Any]]:
    """The plugin's rows, run by memir's own volatility3 host."""
    result = run_plugin(node.kernel.memory, node.kernel.anchors, plugin, plugin_dirs=[ROOT / "plugins"])
    assert result.failure is None
    return [dict(row) for row in result.dicts()]
