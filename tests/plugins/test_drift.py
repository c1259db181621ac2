# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""What containers changed: each file that the recorder found on an upper layer, and no other of a size."""

from __future__ import annotations

from memir.kube.ram import RamSource
from tests.images import case
from tests.plugins.running import PODS, SMALL, rows_by_plugin


def test_drift(node: RamSource) -> None:
    rows = rows_by_plugin(node, "linux.drift")
    assert {row["change"] for row in rows} == {"created", "modified"}
    upper = case(SMALL).raw_truth()["upper"]
    truth = {(entry["file"], entry["size"], entry["sha256"]) for entry in upper if entry["size"]}
    shown = {
        (row["node_path"], row["size"], row["sha256"])
        for row in rows
        if row["kind"] == "regular" and row["size"] and not row["deleted"]
    }
    assert truth and shown == truth
    assert {row["pod_name"] for row in rows if row["noise"] is None} <= PODS
