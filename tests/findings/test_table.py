# SPDX-License-Identifier: Apache-2.0
"""The table of findings."""

from __future__ import annotations

from memir.findings.table import TABLE
from memir.tables.table import tables
from tests.findings.real import SMALL, every


def test_it_is_a_table_like_the_others() -> None:
    assert tables()["findings"] is TABLE
    assert list(every(SMALL)[0]) == [column.name for column in TABLE.columns]


def test_values() -> None:
    (row,) = (row for row in every(SMALL) if row["kind"] == "deleted-executable")
    assert (row["technique"], row["technique_name"], row["tactics"], row["attack_version"], row["technique_v19"]) == (
        "T1070.004", "File Deletion", ["defense-evasion"], "18.1", "T1070.004",
    )  # fmt: skip
    assert (row["node"], row["namespace"]) == ("ip-10-0-1-23.eu-west-1.compute.internal", "dev")
    assert row["source"] == "detection deleted-executable"
