# SPDX-License-Identifier: Apache-2.0
"""The table `hits`: a row a hit and owner, each with its one owner."""

from __future__ import annotations

from memir.hunt.hits import COLUMNS, TABLE
from memir.tables.table import OWNER_COLUMNS, tables


def test_each_row_names_its_owner() -> None:
    names = [column.name for column in TABLE.columns]
    assert names == [*[column.name for column in COLUMNS[:-1]], *OWNER_COLUMNS[:-1], "source"]
    assert "shared_by" not in names
    assert tables()["hits"] is TABLE
    assert dict(TABLE.readers) == {}


def test_rows() -> None:
    frame = TABLE.rows([{"hit_id": "h", "paddr": (1 << 64) - 1, "pod_uid": "u", "tags": ["a"]}, {"hit_id": "h"}])
    assert [(row["hit_id"], row["paddr"], row["pod_uid"], row["tags"]) for row in frame] == [
        ("h", (1 << 64) - 1, "u", ["a"]),
        ("h", None, None, None),
    ]
    meaning = (frame.to_arrow().schema.field("data").metadata or {})[b"doc"]
    assert meaning.startswith(b"matched bytes")
