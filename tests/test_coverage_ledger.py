# SPDX-License-Identifier: Apache-2.0
"""Which modules are measured again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import coverage_ledger
from tests.coverage_ledger import SHARE, Entry, digest, due, read, write
from tests.modules import ROOT, its_test, modules

GAPS, TEXT = Path("memir/gaps.py"), Path("memir/text.py")


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(coverage_ledger, "LEDGER", tmp_path / "coverage.txt")
    return tmp_path / "coverage.txt"


def test_the_list_says_what_is_enough() -> None:
    """No module stands in it with less than is asked for, or without being there."""
    entries = read()
    assert {module: entry.per_cent for module, entry in entries.items() if entry.per_cent < 70} == {}
    assert sorted(set(entries) - {module.as_posix() for module in modules()}) == []


def test_what_changed_is_due(ledger: Path) -> None:
    assert due([GAPS, TEXT]) == [GAPS, TEXT]
    write({GAPS: 91.7})
    assert read() == {"memir/gaps.py": Entry(91, digest(GAPS))}
    assert TEXT in due([GAPS, TEXT])
    ledger.write_text(ledger.read_text().replace(digest(GAPS), "0" * 16))
    assert GAPS in due([GAPS, TEXT])


def test_a_tenth_of_the_rest_is_due(ledger: Path) -> None:
    every = [module for module in modules() if (ROOT / its_test(module)).is_file()]
    write(dict.fromkeys(every, 80.0))
    again = due(every)
    assert 0 < len(again) < 3 * len(every) // SHARE
    assert {int(digest(module), 16) % SHARE for module in again} == {int(digest(again[0]), 16) % SHARE}


def test_a_module_that_is_no_more_leaves_the_list(ledger: Path) -> None:
    ledger.write_text(f"memir/was_here.py 99 {'0' * 16}\n")
    write({GAPS: 80.0})
    assert list(read()) == ["memir/gaps.py"]
