# SPDX-License-Identifier: Apache-2.0
"""Forms of a report are found by their files, and findings are chosen by severity."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.case.case import Case
from memir.errors import CaseError, UsageError
from memir.findings.table import TABLE
from memir.report.registry import Options, findings_of, format_of, formats
from tests.case.test_case import ANALYSIS, ONE, processes
from tests.findings.real import SMALL, every
from tests.images import ROOT


def test_formats() -> None:
    files = {path.stem for path in (ROOT / "memir/report/formats").glob("*.py")} - {"__init__"}
    assert len(formats()) == len(files)
    assert list(formats()) == sorted(formats()) and format_of("md") is formats()["md"]
    assert all(form.help and form.name == name for name, form in formats().items())
    with pytest.raises(UsageError, match=r"--format 'pdf': there are .*md"):
        format_of("pdf")


def test_findings_of(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    case.add_tables({"processes": processes(1)}, ANALYSIS, ONE)
    with pytest.raises(CaseError, match="has no findings"):
        findings_of(case, Options())
    case.add_tables({"findings": TABLE.rows(every(SMALL))}, ANALYSIS, ONE)
    assert findings_of(case, Options()) == every(SMALL)
    high = [row for row in every(SMALL) if row["severity"] == "high"]
    assert high and findings_of(case, Options("high")) == high
    assert findings_of(case, Options("critical")) == []
