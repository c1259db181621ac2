# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Connections that netfilter follows: none on the small node, whose kernel has not loaded the module."""

from __future__ import annotations

from memir.kube.ram import RamSource
from memir.volatility.run import run_plugin
from tests.images import ROOT


def test_podconntrack(node: RamSource) -> None:
    memory, anchors = node.kernel.memory, node.kernel.anchors
    result = run_plugin(memory, anchors, "linux.podconntrack", plugin_dirs=[ROOT / "plugins"])
    assert result.failure is None and result.rows == []
    assert [column.name for column in result.columns][:3] == ["net_ns", "protocol", "orig_src"]
