# SPDX-License-Identifier: Apache-2.0
"""Rows for other programs: JSON values and CSV. Text is an image's, so it may be hostile to what opens it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from memir.text import safe

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula (OWASP, CSV Injection)."""


def json_value(value: Any) -> Any:
    """A value as JSON can hold it: NaN and the infinities by their names, times in ISO 8601, bytes in hex."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(key): json_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [json_value(inner) for inner in value]
    isoformat = getattr(value, "isoformat", None)
    return isoformat() if isoformat else str(value)


def json_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Rows as objects for JSON."""
    for row in rows:
        yield {name: json_value(value) for name, value in zip(columns, row, strict=True)}


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Lines of CSV (RFC 4180, with \\n), the names first. Null is an empty cell; lists are JSON.

    Characters that a terminal acts on are escaped, and text that a spreadsheet would run gets a ' in front.
    """
    yield _csv_line([_csv_cell(str(name)) for name in columns])
    for row in rows:
        yield _csv_line([_csv_cell(json_value(value)) for value in row])


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return ("'" if text.startswith(_FORMULA) else "") + safe(text)


def _csv_line(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()
