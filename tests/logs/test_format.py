# SPDX-License-Identifier: Apache-2.0
"""Columns of JSON lines in one pass."""

from __future__ import annotations

import pyarrow as pa

from memir.logs.format import BOOL, FLOAT, INT32, INT64, STRINGS, TIME, JsonFields, quoted
from memir.tables.sql import connected

FIELDS = JsonFields(
    {"user": "$.user", "n": "$.n", "big": "$.big", "x": "$.x", "yes": "$.yes", "end": "$.end", "l": "$.l"},
    where="\"user\" <> 'skip'",
    cast={"n": INT32, "big": INT64, "x": FLOAT, "yes": BOOL, "end": TIME, "l": STRINGS,
          "twice": 'concat("user", "user")'},
    drop=frozenset({"user"}),
)  # fmt: skip


def test_fields() -> None:
    texts = [
        '{"user": "a", "n": 7, "big": 9007199254740993, "x": 8.5, "yes": true, "end": "2026-01-01T01:00:00+01:00", '
        '"l": ["p", 3]}',
        '{"user": "b", "n": "x", "big": 1e400, "x": {}, "yes": 12345, "end": "soon", "l": 7}',
        '{"user": "skip"}', "{", "7",
    ]  # fmt: skip
    lines = pa.table({"row": list(range(5)), "number": list(range(5)), "text": texts})
    with connected({"lines": lines}) as connection:
        rows = connection.sql(FIELDS.sql()).to_arrow_table().to_pylist()
    assert [(row["row"], row["n"], row["big"], row["x"], row["l"], row["twice"]) for row in rows] == [
        (0, 7, 9007199254740993, 8.5, ["p", "3"], "aa"), (1, None, None, None, None, "bb"),
    ]  # fmt: skip
    assert (rows[0]["yes"], rows[0]["end"].isoformat(), rows[1]["end"]) == (True, "2026-01-01T00:00:00+00:00", None)


def test_quoted() -> None:
    assert quoted("end") == '"end"'
