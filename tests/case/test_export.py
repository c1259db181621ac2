# SPDX-License-Identifier: Apache-2.0
"""Values for JSON and CSV."""

from __future__ import annotations

import csv
import json
import math
from datetime import UTC, datetime
from decimal import Decimal

from memir.case.export import csv_lines, json_rows, json_value


def test_json_values() -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
    values = [math.nan, math.inf, -math.inf, 1.5, None, True, b"\x00\xff", when, Decimal("1.10"), [math.nan], {1: when}]
    assert [json_value(value) for value in values] == [
        "NaN", "Infinity", "-Infinity", 1.5, None, True, "00ff", "2026-01-02T03:04:05.000006+00:00", "1.10", ["NaN"],
        {"1": "2026-01-02T03:04:05.000006+00:00"},
    ]  # fmt: skip
    (row,) = json_rows(["a", "b"], [(math.nan, (1, 2))])
    assert json.dumps(row, allow_nan=False) == '{"a": "NaN", "b": [1, 2]}'


def test_csv_is_safe_for_terminals_and_spreadsheets() -> None:
    rows = [(1, "=cmd|' /C calc'!A0", None, -5, ["a", "b"]), (True, '\x1b[31m"quoted",\n', "", 1.0, "@x")]
    lines = list(csv_lines(["n", "+name", "null", "number", "list"], rows))
    assert lines[0] == "n,'+name,null,number,list"
    read = list(csv.reader(lines))
    assert read[1] == ["1", "'=cmd|' /C calc'!A0", "", "-5", '["a", "b"]']
    assert read[2] == ["true", '\\e[31m"quoted",\\n', "", "1.0", "'@x"]
