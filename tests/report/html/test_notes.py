# SPDX-License-Identifier: Apache-2.0
"""Notes that the page saved are read back; those of another case, and what is no notes file, are refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import memir
from memir.errors import CaseError, UsageError
from memir.report.html.document import html_parts
from memir.report.html.notes import checked, read_notes

NOTE = {"target": "finding:miner-1", "text": "ours <b>", "benign": True, "when": "2026-01-01T00:00:00Z"}


def test_read_back(intruded: Path, tmp_path: Path) -> None:
    case = memir.Case(intruded)
    file = tmp_path / "notes.json"
    file.write_text(json.dumps({"schema": 1, "case": "0" * 64, "node": "n", "notes": [NOTE]}))
    page = b"".join(html_parts(case, notes=read_notes(file))).decode()
    match = re.search(r'id="head">([^<]*)</script>', page)
    assert match is not None and json.loads(match.group(1))["notes"] == [NOTE]


def test_rows_of_another_case() -> None:
    row = {"target": "row:processes:3", "text": "x"}
    full = {"target": "row:processes:3", "text": "x", "benign": False, "when": ""}
    assert checked({"case": "a", "notes": [row]}, "a") == [full]
    assert checked({"case": "a", "notes": [row, NOTE]}, "b") == [NOTE]
    with pytest.raises(CaseError, match="rows of another case"):
        checked({"case": "a", "notes": [row]}, "b")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no notes file"), (b"\xff\xfe", "no notes file"), (b"[" * 100_000, "no notes file"), (b"[]", "schema 1"),
        (b'{"schema": 2, "notes": []}', "schema 1"), (b'{"schema": 1, "notes": {}}', "schema 1"),
        (b'{"schema": 1, "notes": [{}]}', "note 0 names no target"), (b'{"schema": 1, "notes": [7]}', "note 0"),
    ],
)  # fmt: skip
def test_no_notes(tmp_path: Path, data: bytes, words: Any) -> None:
    file = tmp_path / "notes.json"
    file.write_bytes(data)
    with pytest.raises(UsageError, match=words):
        read_notes(file)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_notes(tmp_path / "none")
