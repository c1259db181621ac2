# SPDX-License-Identifier: Apache-2.0
"""The form `html`: found by name, to a file only."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from memir.case.case import Case
from memir.report.registry import Options, format_of
from tests.case.test_case import ANALYSIS, ONE


def test_html(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    case.add_tables({"processes": pa.table({"pid": [1]})}, ANALYSIS, ONE)
    form = format_of("html")
    assert form.text is False
    page = b"".join(form.parts(case, Options())).decode()
    assert page.startswith("<!doctype html>\n") and page.endswith("</html>\n")
    assert 'id="table-processes"' in page and 'id="table-timeline"' in page
