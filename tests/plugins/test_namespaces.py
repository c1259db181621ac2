# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Namespaces and who is in them, as /proc/PID/ns had it."""

from __future__ import annotations

from memir.kube.ram import RamSource
from tests.images import case
from tests.plugins.running import SMALL, rows_by_plugin


def test_namespaces_and_their_processes(node: RamSource) -> None:
    rows = rows_by_plugin(node, "linux.namespaces")
    pids_of = {(row["kind"], row["inum"]): set(map(int, str(row["pids"] or "").split())) for row in rows}
    compared = 0
    for pid, truth in case(SMALL).recorded().items():
        if truth.comm == "truth":  # the recorder has ended
            continue
        for kind in ("mnt", "pid", "net", "ipc", "uts"):
            assert pid in pids_of[kind, truth.namespaces[kind]]
            compared += 1
    assert compared > 250
    assert {row["kind"] for row in rows if row["initial"]} >= {"mnt", "pid", "net", "ipc", "uts"}
