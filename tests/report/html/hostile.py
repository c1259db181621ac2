# SPDX-License-Identifier: Apache-2.0
"""A case in which every text is one that wants to be more than text."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa

from memir.case.case import Case
from memir.tables.table import tables
from tests.case.test_case import ANALYSIS, ONE

MEGABYTE = "A" * (1 << 20)
TEXTS = (
    "<img src=x onerror=window.pwned=1>",
    "<script>window.pwned=2</script>",
    "</script><script>window.pwned=3</script>",
    "</template></style><svg onload=window.pwned=4>",
    '"><a href="javascript:window.pwned=5" autofocus onfocus=window.pwned=6>x</a>',
    "<!--<script>",
    "]]><![CDATA[",
    "&lt;b&gt;&amp;",
    "${window.pwned=7}{{constructor.constructor('window.pwned=8')()}}",
    "javascript:window.pwned=9",
    "__proto__",
    "constructor",
    "gnp\u202efdp.exe",
    "a\u200bb\u200d\ufeffc\u2066d",
    "\x1b[31mred\x1b]0;title\x07\x00\x7f\x9b",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)\t+1\r\n-2",
    "\ue000\U000e0041\u2028\u2029\u3164",
    "Z" + "\u0301" * 300,
    "not UTF-8: \\xff\\xfe \ufffd",
    "#finding=x&row=1",
    "",
)
"""Every kind of them; the long one stands apart."""
LONG = (("log", "text"), ("pages", "path"), ("inodes", "container_path"), ("inodes", "path"), ("modules", "name"))
"""Columns whose first value is a megabyte long."""
_OWN = {"severity": "high", "technique": "T1059", "attack_version": "18.1", "technique_v19": "T1059"}


def hostile_case(folder: Path, rows: int = 44) -> Path:
    """A case with every table of the registry, its texts hostile, other values of their types."""
    made: dict[str, Any] = {}
    for name, table in tables().items():
        words = itertools.cycle(TEXTS)
        schema = table.schema()
        columns = {}
        for field in schema:
            values: list[Any] = [_value(field.name, field.type, words, row) for row in range(rows)]
            columns[field.name] = pa.array(values, field.type)
            next(words)
        made[name] = pa.table(columns, schema=schema)
    for name, column in LONG:
        table = made[name]
        place = table.schema.get_field_index(column)
        long = pa.array([MEGABYTE, *table[column].to_pylist()[1:]])
        made[name] = table.set_column(place, table.schema.field(place), long)
    Case.create(folder).add_tables(made, ANALYSIS, ONE)
    return folder


def _value(name: str, kind: pa.DataType, words: Any, row: int) -> Any:
    if name in _OWN and pa.types.is_string(kind):
        return _OWN[name]
    if name == "evidence":
        keys = ("pid = 1", "true) union all select 99999, 99999 --", next(words))
        return [{"table": table, "key": key} for table, key in zip(("processes", "processes", next(words)), keys,
                                                                   strict=True)]  # fmt: skip
    if pa.types.is_string(kind):
        return next(words)
    if pa.types.is_list(kind):
        return [_value("", kind.value_type, words, row), _value("", kind.value_type, words, row)]
    if pa.types.is_timestamp(kind):
        return (0, 1_795_472_905_484_000, 253_402_300_799_000_000, -62_135_596_800_000_000)[row % 4]
    if pa.types.is_boolean(kind):
        return (True, False, None)[row % 3]
    if pa.types.is_floating(kind):
        return (-0.5, float("nan"), float("inf"), None)[row % 4]
    bits = kind.bit_width
    return (row, (1 << (bits - 1)) - 1, 0, None)[row % 4]
