# SPDX-License-Identifier: Apache-2.0
"""docs/reference/tables.md says what the registry says."""

from __future__ import annotations

import re

from memir.tables.reference import reference
from memir.tables.table import tables
from tests.images import ROOT


def test_the_page_is_current() -> None:
    page = (ROOT / "docs" / "reference" / "tables.md").read_text()
    assert page == reference(), "run: python -m memir.tables.reference > docs/reference/tables.md"


def test_every_column_of_every_table_is_on_it() -> None:
    sections = re.split(r"^## ", reference(), flags=re.M)[1:]
    assert [section.split("\n", 1)[0] for section in sections] == list(tables())
    for section, table in zip(sections, tables().values(), strict=True):
        rows = re.findall(r"^\| (\w+) \| ", section, flags=re.M)
        assert rows == ["column", *(column.name for column in table.columns)], table.name
        assert table.doc in section
    row = "| start_time | timestamp | when it was forked, UTC; the program that it runs (exec) may be newer |"
    assert row in reference()
    assert "Read from: checkpoint, pod, ram. volatility3 plugin: `linux.pods`." in reference()
