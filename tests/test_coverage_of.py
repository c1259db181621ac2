# SPDX-License-Identifier: Apache-2.0
"""Whose lines count for a module."""

from __future__ import annotations

from pathlib import Path

from coverage import CoverageData

from tests.coverage_of import _in_functions, per_cent
from tests.modules import ROOT

MODULE = Path("memir/gaps.py")
LINES = set(range(1, len((ROOT / MODULE).read_text().splitlines()) + 1))


def counted(lines: set[int], context: str) -> float:
    data = CoverageData(no_disk=True)
    data.set_context(context)
    data.add_lines({str(ROOT / MODULE): lines})
    return per_cent(data, MODULE)


def test_its_own_test_file_counts_and_no_other() -> None:
    assert counted(LINES, "tests/test_gaps.py") == 100
    assert counted(LINES, "tests/test_text.py") == 0
    assert counted(set(), "tests/test_gaps.py") == 0


def test_of_an_import_the_top_level_counts() -> None:
    inside = _in_functions(ROOT / MODULE)
    assert inside < LINES
    top = counted(LINES - inside, "tests/test_gaps.py")
    assert 0 < top < 100
    assert counted(LINES, "") == top
    assert counted(inside, "") == 0
