# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Descriptors are those of /proc/PID/fd."""

from __future__ import annotations

from memir.kube.ram import RamSource
from tests.plugins.running import SMALL, rows_by_plugin
from tests.tables.test_files import listed


def test_podfiles(node: RamSource) -> None:
    rows = {(row["pid"], row["fd"]): row for row in rows_by_plugin(node, "linux.podfiles") if row["use"] == "fd"}
    truth = {
        (entry["pid"], int(fd)): target
        for entry in listed(SMALL, node)
        for fd, target in (entry.get("fds") or {}).items()
        if target is not None
    }
    assert len(truth) > 40
    shown = {key: str(rows[key]["path"]) + (" (deleted)" if rows[key]["deleted"] else "") for key in truth}
    assert shown == truth
