# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""BPF programs as the table has them: none on the small node, those that tests/kernel builds where there are some."""

from __future__ import annotations

from memir.kube.ram import RamSource
from memir.volatility.run import run_plugin
from tests.images import ROOT
from tests.plugins.running import rows_by_plugin


def test_podbpf(node: RamSource) -> None:
    assert rows_by_plugin(node, "linux.podbpf") == []
    memory, anchors = node.kernel.memory, node.kernel.anchors
    result = run_plugin(memory, anchors, "linux.podbpf", plugin_dirs=[ROOT / "plugins"])
    assert [column.name for column in result.columns][:6] == ["kind", "id", "type", "name", "tag", "time"]
