# SPDX-License-Identifier: Apache-2.0
"""Indicators compared with a case that is there; the case stays as it was."""

from __future__ import annotations

from pathlib import Path

from memir.case.case import Case
from memir.case.indicated import KIND, indicated
from memir.tables.processes import TABLE
from tests.case.test_case import ANALYSIS, ONE
from tests.findings.real import INTRUDED, node


def test_indicated(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    tables = node(INTRUDED)[0]
    case.add_tables({"processes": tables["processes"], "containers": tables["containers"]}, ANALYSIS, ONE)
    before = {path.name: path.read_bytes() for path in (tmp_path / "case").rglob("*") if path.is_file()}
    miner = next(row for row in tables["processes"].to_pylist() if any("stratum" in arg for arg in row["args"] or ()))
    pool = next(arg for arg in miner["args"] if "stratum" in arg).partition("://")[2].partition(":")[0]
    (tmp_path / "ioc").write_text(pool)
    rows = indicated(case, tmp_path / "ioc")
    assert {row["kind"] for row in rows} == {KIND} and {row["node"] for row in rows} == {"n"}
    assert miner["pid"] in {row["pid"] for row in rows}
    after = {path.name: path.read_bytes() for path in (tmp_path / "case").rglob("*") if path.is_file()}
    assert after == before and TABLE.name in case.tables
