# SPDX-License-Identifier: Apache-2.0
"""Whatever volatility3's vmayarascan finds, the hunt finds too, with the same process and address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from memir.kube.ram import RamSource
from memir.volatility.run import run_plugin
from tests.hunt.hunting import rules, run

NodeOf = Callable[[str], RamSource]
MONOTONE = """
rule Elf { strings: $a = { 7f 45 4c 46 02 } condition: $a }
rule Two { strings: $a = "server up on" $b = "HTTP/1.1 200 OK" condition: all of them }
rule Some { strings: $a = /root:x:[0-9]/ $b = "PATH=/" condition: any of them }
"""
POSITIONAL = """
rule Head { strings: $a = "ELF" condition: uint32(0) == 0x464c457f and $a at 1 }
rule Small { strings: $b = "PATH=/" condition: $b and filesize < 200KB }
rule Order { strings: $a = "server up on" $b = "HTTP/1.1 200 OK" condition: @a[1] < @b[1] or @b[1] < @a[1] }
rule Without { strings: $a = "PATH=/" $b = "HOSTNAME" condition: $a and not $b }
rule Count { strings: $a = "PATH=" condition: #a == 1 }
"""


@pytest.mark.parametrize("text", [MONOTONE, POSITIONAL], ids=["monotone", "positional"])
def test_superset(node_of: NodeOf, image: str, text: str, tmp_path: Path) -> None:
    node = node_of(image)
    pids = [one.pid for one in node.processes.rows if not one.kernel_thread]
    if len(pids) > 25:  # vmayarascan takes two minutes for all of a real node
        pids = [one.pid for one in node.processes.rows if one.exe and ("python3" in one.exe or "shim" in one.exe)][:8]
    ruleset = rules(tmp_path, text)
    arguments = ["--yara-file", str(ruleset.files[0]), "--pid", *map(str, pids)]
    result = run_plugin(node.kernel.memory, node.kernel.anchors, "linux.vmayarascan.VmaYaraScan", arguments)
    assert result.failure is None
    names = [column.name for column in result.columns]
    columns = [names.index(name) for name in ("PID", "Rule", "Component", "Offset")]
    theirs = {tuple(row[at] for at in columns) for row in result.rows}
    ours = {
        (row["pid"], row["rule"], row["string"], row["vaddr"])
        for row in run(node, ruleset).rows
        if row["owner"] == "process" and row["pid"] in pids
    }
    assert theirs and theirs - ours == set()
    if text == POSITIONAL:  # what the file has beside the region does not count for such rules
        assert ours - theirs == set()
