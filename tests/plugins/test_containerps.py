# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Processes with their pods and their pid inside, as the recording has them."""

from __future__ import annotations

from memir.kube.ram import RamSource
from tests.images import case
from tests.plugins.running import PODS, SMALL, rows_by_plugin


def test_processes_in_containers(node: RamSource) -> None:
    recorded = case(SMALL).recorded()
    rows = {row["pid"]: row for row in rows_by_plugin(node, "linux.containerps")}
    inside = {pid for pid, truth in recorded.items() if len(truth.nspid) > 1}
    assert inside and inside <= set(rows)
    for pid in inside:
        truth = recorded[pid]
        assert (rows[pid]["comm"], rows[pid]["ppid"], rows[pid]["uid"]) == (truth.comm, truth.ppid, truth.uid)
        assert rows[pid]["pid_in_container"] == truth.nspid[-1]
        assert rows[pid]["pod_name"] in PODS
    (secret,) = [row for row in rows.values() if row["comm"] == "secretd"]
    assert (secret["namespace"], secret["pod_name"], secret["container_name"]) == ("dev", "miner-0", "miner")
