# SPDX-License-Identifier: Apache-2.0
"""The registry of formats."""

from __future__ import annotations

from memir.logs.formats import derived, formats
from memir.tables.table import tables


def test_formats() -> None:
    assert [(each.table, each.words) for each in formats()][:2] == [
        ("audit", "Kubernetes audit log"), ("authenticator", "EKS authenticator log"),
    ]  # fmt: skip
    given = {each.table for each in formats()} | set(derived())
    assert given == {name for name, table in tables().items() if "logs" in table.readers}


def test_derived() -> None:
    assert derived()["sessions"] == "audit"
