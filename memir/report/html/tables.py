# SPDX-License-Identifier: Apache-2.0
"""Tables of a case as they lie in the page: Parquet in small row groups, which the page decodes one after the other."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memir.case.event import quoted
from memir.case.log_events import LOG_EVENTS
from memir.case.timeline import EVENTS
from memir.errors import UsageError
from memir.tables.sql import ask
from memir.tables.table import tables as known_tables

if TYPE_CHECKING:
    import pyarrow as pa

SLICE = 4096
"""Rows that the page decodes at once: a few milliseconds a column."""
ROW = "__row"
"""Number of a row in its table, from 0; only while proofs are looked up."""
_LEVEL = 9
"""Of zstd: a second more here saves 8 % of every copy of the file."""
_PROOFS = 200
"""Rows of one proof that a finding links to; the rest is counted."""
TIMELINE = "timeline"
_TIMELINE_DOCS = {
    "time": "when, UTC by the image's own clock",
    "kind": "kind of event",
    "text": "what happened",
    "source": "table that it comes from",
    "row": "number of the row in that table, from 0",
    "namespace": "namespace of the pod",
    "pod_name": "pod",
    "container_name": "container",
}


@dataclass(frozen=True)
class PageTable:
    """A table in the page. head: what the page knows before it decodes; data: Parquet in base64."""

    head: dict[str, Any]
    data: bytes


def page_table(name: str, table: pa.Table, meaning: str | None = None) -> PageTable:
    """A table for the page. Columns without any value are named, and not carried."""
    import pyarrow.parquet as pq

    empty = [column for column in table.column_names if table[column].null_count == table.num_rows]
    kept = table.drop_columns(empty) if table.num_rows else table
    out = io.BytesIO()
    pq.write_table(
        kept.replace_schema_metadata(None),
        out,
        compression="zstd",
        compression_level=_LEVEL,
        row_group_size=SLICE,
        write_statistics=False,
        store_schema=False,
    )
    known = {field.name: (field.metadata or {}).get(b"doc", b"").decode("utf-8", "replace") for field in kept.schema}
    columns = [
        {"name": field.name, "type": str(field.type), "doc": known[field.name] or _TIMELINE_DOCS.get(field.name)}
        for field in kept.schema
    ]
    head = {
        "name": name,
        "rows": table.num_rows,
        "doc": meaning,
        "columns": columns,
        "empty": empty if table.num_rows else [],
    }
    return PageTable(head, base64.b64encode(out.getvalue()))


def completed(name: str, table: pa.Table) -> pa.Table:
    """A table with every column that the registry knows of it: an earlier memir wrote fewer, they are null."""
    import pyarrow as pa

    schema = known_tables()[name].schema() if name in known_tables() else ()
    for field in schema:
        if field.name not in table.column_names:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table


def events(tables: Mapping[str, pa.Table]) -> pa.Table:
    """The timeline, each event with the number of the row that it comes from: time, kind, text, source, row, owner.

    Events of memory and of the case's logs; quiet ones (requests that only read) are left to their tables.
    """
    selects = [
        f"select {quoted(event.time)} as time, '{event.kind}' as kind, {event.text} as text, "
        f"'{event.table}' as source, cast({ROW} as integer) as row, namespace, pod_name, container_name "
        f"from {event.table} "
        f"where {quoted(event.time)} is not null and ({event.where})"
        for event in (*EVENTS, *LOG_EVENTS)
        if event.table in tables and not event.quiet
    ]
    if not selects:
        selects = ["select null::timestamptz as time, '' as kind, '' as text, '' as source, 0 as row where false"]
    answer: pa.Table = ask(numbered(tables), f"{' union all '.join(selects)} order by time, kind, source, row")
    return answer


def numbered(tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The tables with the number of each row as a further column."""
    import numpy as np
    import pyarrow as pa

    return {
        name: table.append_column(ROW, pa.array(np.arange(table.num_rows, dtype=np.int64)))
        for name, table in tables.items()
    }


def proofs(findings: Iterable[Mapping[str, Any]], tables: Mapping[str, pa.Table]) -> list[list[dict[str, Any]]]:
    """Of each finding its proofs: table, key, numbers of the rows, how many there are more.

    A key that is no condition (the case was written by another hand) gives `rows` null. All keys of a table are asked
    in one query; only where that fails, one by one.
    """
    every = [list(finding["evidence"] or ()) for finding in findings]
    keys: dict[str, dict[str, list[int] | None]] = {}
    for proof in (proof for each in every for proof in each):
        keys.setdefault(proof["table"], {})[proof["key"]] = None
    for table, wanted in keys.items():
        if table in tables and table.isidentifier():
            wanted.update(_rows(numbered({table: tables[table]}), table, list(wanted)))
    return [[_proof(proof, keys[proof["table"]][proof["key"]]) for proof in each] for each in every]


def _proof(proof: Mapping[str, str], rows: list[int] | None) -> dict[str, Any]:
    shown = None if rows is None else rows[:_PROOFS]
    return {"table": proof["table"], "key": proof["key"], "rows": shown, "more": len(rows or ()) - len(shown or ())}


def _rows(tables: Mapping[str, pa.Table], table: str, keys: Sequence[str]) -> dict[str, list[int] | None]:
    selects = (f"select {number} as n, {ROW} as r from {table} where {key}" for number, key in enumerate(keys))
    union = " union all ".join(selects)
    try:
        answer = ask(tables, f"{union} order by n, r")
    except UsageError:
        if len(keys) == 1:
            return {keys[0]: None}
        return {key: rows for each in keys for key, rows in _rows(tables, table, [each]).items()}
    rows: dict[str, list[int] | None] = {key: [] for key in keys}
    total = tables[table].num_rows
    for number, row in zip(answer["n"].to_pylist(), answer["r"].to_pylist(), strict=True):
        # a key is text of the case: it may be more SQL than a condition
        each = rows.get(keys[number]) if isinstance(number, int) and 0 <= number < len(keys) else None
        if each is not None and isinstance(row, int) and 0 <= row < total:
            each.append(row)
    return rows
