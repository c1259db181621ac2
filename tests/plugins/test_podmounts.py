# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Every mount of mountinfo is there, with the pod of its namespace."""

from __future__ import annotations

from memir.kube.ram import RamSource
from tests.plugins.running import PODS, SMALL, rows_by_plugin
from tests.tables.test_mounts import fields, recorded


def test_podmounts(node: RamSource) -> None:
    rows = {(row["mnt_ns"], row["mount_id"]): row for row in rows_by_plugin(node, "linux.podmounts")}
    compared = 0
    for ns, lines in recorded(SMALL).items():
        for number, truth in map(fields, lines):
            row = rows[ns, number]
            assert (row["mount_point"], row["device"], row["fstype"]) == (
                truth["mount_point"], truth["device"], truth["fstype"],
            )  # fmt: skip
            compared += 1
    assert compared == 71
    assert {row["pod_name"] for row in rows.values()} - {None} == PODS
