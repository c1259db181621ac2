# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""linux.podyara gives in volatility3 what `memir hunt` gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from memir.errors import UsageError
from memir.kube.ram import RamSource
from memir.volatility.run import run_plugin
from tests.hunt.hunting import run, strings
from tests.images import ROOT, cases

PLUGINS = ROOT / "plugins"
SMALL = next(name for name in sorted(cases()) if "small" in name and "la57" not in name and "arm" not in name)


@pytest.fixture(scope="module")
def node(node_of: Callable[[str], RamSource]) -> RamSource:
    return node_of(SMALL)


def test_the_same_hits(node: RamSource, tmp_path: Path) -> None:
    rules = strings(tmp_path, "server up on", "MEMIR-HEAP-SECRET")
    arguments = ["--yara-file", str(rules.files[0])]
    result = run_plugin(node.kernel.memory, node.kernel.anchors, "linux.podyara", arguments, plugin_dirs=[PLUGINS])
    assert result.failure is None
    names = [column.name for column in result.columns]
    shown = ("hit_id", "rule", "paddr", "vaddr", "owner", "pid", "container_id", "path")
    theirs = {tuple(row[names.index(name)] for name in shown) for row in result.rows}
    assert theirs == {tuple(row[name] for name in shown) for row in run(node, rules).rows}


def test_options(node: RamSource) -> None:
    arguments = ["--yara-string", 'server "up" on', "--pod", "miner-0"]
    assert (
        run_plugin(node.kernel.memory, node.kernel.anchors, "linux.podyara", arguments, plugin_dirs=[PLUGINS]).rows
        == []
    )
    arguments = ["--yara-string", "server up on", "--pod", "miner-0", "--kinds", "process"]
    result = run_plugin(node.kernel.memory, node.kernel.anchors, "linux.podyara", arguments, plugin_dirs=[PLUGINS])
    assert result.failure is None and result.rows
    names = [column.name for column in result.columns]
    assert {row[names.index("owner")] for row in result.rows} == {"process"}
    assert {row[names.index("pod_name")] for row in result.rows} == {"miner-0"}


def test_no_rules(node: RamSource) -> None:
    with pytest.raises(UsageError, match="no rules"):
        run_plugin(node.kernel.memory, node.kernel.anchors, "linux.podyara", [], plugin_dirs=[PLUGINS])
