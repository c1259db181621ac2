# SPDX-License-Identifier: Apache-2.0
"""Known indicators compared with the tables of a case that is already there; the case is not changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memir.case.case import Case
from memir.case.refind import image_facts
from memir.findings.detect import detect
from memir.findings.indicators import TABLE, read_indicators

KIND = "known-indicator"
_TABLES = ("processes", "inodes", "sockets", "containers", "log")


def indicated(case: Case, ioc: Path) -> list[dict[str, Any]]:
    """Findings of the kind known-indicator, as rows of the table findings. UsageError if the file has no indicators."""
    tables = {name: case[name] for name in _TABLES if name in case.tables}
    tables["indicators"] = TABLE.rows(read_indicators(ioc).rows).to_arrow()
    rows: list[dict[str, Any]] = detect(tables, image_facts(case.record), (KIND,)).to_arrow().to_pylist()
    return rows
