# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Code that somebody wrote into: its page, and what differs."""

from __future__ import annotations

from memir.kube.ram import RamSource
from tests.injected import pid_of, written
from tests.plugins.running import rows_by_plugin


def test_podcode(node: RamSource) -> None:
    assert rows_by_plugin(node, "linux.podcode") == []
    pid = pid_of(node, "secretd")
    changed, code, _ = written(node, pid, 1, {0x20: b"\x90\x91\x92\x93\x94\x95\x96\x97"})
    (row,) = rows_by_plugin(changed, "linux.podcode")
    assert (row["pid"], row["address"], row["first"]) == (pid, code.va, 0x20)
    assert (row["pod_name"], row["container_name"]) == ("miner-0", "miner")
    assert str(row["bytes"]).startswith("9091929394959697")
