# SPDX-License-Identifier: Apache-2.0
"""One file of a log, whatever it holds: each line goes to the format that knows it, what no format knows is counted.

Formats are tried in the order of what the lines before were. What none takes is looked into: lists (EventList,
Records, Events, logEvents), JSON in a string (CloudTrailEvent, CloudWatch's message), a time before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memir.gaps import Gaps
from memir.logs.flow_fields import names_of
from memir.logs.format import Format
from memir.logs.lines import MAX_LINE, Lines, ahead, chunks, whole
from memir.logs.parquet import flow_records, is_parquet
from memir.logs.stream import Stream

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

KIND = "log"
"""Kind of the gaps that say what of a log could not be read."""
_DEPTH = 4  # envelopes in envelopes: a subscription's, CloudWatch's list, its message, the list in that
_MOST_PARTS = 2_000_000
_LISTS = ("$", "$.items", "$.Records", "$.Events", "$.events", "$.logEvents", "$.Findings", "$.findings", "$.results")
_INNER = ("$.message", '$."@message"', "$.CloudTrailEvent", "$.detail")
_PREFIX = "^[0-9]{4}-[0-9:.TZ+-]{9,31}[ \\t]+([{\\[a-z0-9].*)$"
_BLANK = "^\\s*$"


@dataclass
class LogFile:
    """What a file held: rows by table; sha256 of the file as it lies there; known: lines of a known format.

    skipped: rows that a format leaves out, by why.
    """

    name: str
    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    sha256: str = ""
    known: int = 0
    skipped: dict[str, int] = field(default_factory=dict)


def read_file(
    path: Path, formats: Sequence[Format], connection: duckdb.DuckDBPyConnection, gaps: Gaps, name: str = ""
) -> LogFile:
    """Rows of a file by table, with the columns `log` and `line`. What could not be read is added to gaps, by file.

    name: by which rows and gaps name it, its path if there is none.

    LogsError if the file cannot be read at all.
    """
    name = name or str(path)
    stream, read = Stream(path), LogFile(name)
    if is_parquet(path):
        for rows in flow_records(path, connection, gaps, name):
            read.known += rows.num_rows
            read.tables.setdefault("flowlogs", []).append(rows.append_column("log", _named(name, rows.num_rows)))
        read.sha256 = _rest(stream)
        return read
    order, first = list(formats), ""
    for number, lines in enumerate(ahead(_chunks(path, stream, gaps, name))):
        if number == 0:
            first = _first_line(lines)
        gaps.add(KIND, name, "byte sequences that are not UTF-8, shown as U+FFFD", lines.odd)
        gaps.add(KIND, name, f"lines of more than {MAX_LINE} bytes, left out", lines.too_long)
        unknown = _take(connection, _rows(lines.number, lines.text), order, first, read, _DEPTH)
        _count_unknown(connection, unknown, first, name, gaps)
        order.sort(key=lambda each: -sum(table.num_rows for table in read.tables.get(each.table, ())))
    for why, count in read.skipped.items():
        gaps.add(KIND, name, why, count)
    if stream.torn:
        gaps.add(KIND, name, stream.torn)
    read.sha256 = stream.sha256
    return read


def _chunks(path: Path, stream: Stream, gaps: Gaps, name: str) -> Iterator[Lines]:
    """Lines; of a file that is one document over many lines, or several such, the documents."""
    every = chunks(stream)
    first = next(every, None)
    if first is None:
        return
    if not _is_document(first):
        yield first
        yield from every
        return
    data = whole(Stream(path))
    for _ in every:  # the hash is of the whole file
        pass
    if data is None:
        gaps.add(KIND, name, f"one JSON document of more than {MAX_LINE} bytes: write it as lines: `jq -c '.[]'`")
        return
    yield _documents(data)


def _is_document(lines: Lines) -> bool:
    """Whether JSON begins on the first line and goes on, indented, on the next."""
    head = [text.as_py()[:4096] for text in lines.text.slice(0, 2)]
    if len(head) < 2 or not head[0].lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(head[0])
    except RecursionError:
        return False
    except ValueError:
        return head[0].strip() in ("{", "[") or head[1].startswith((" ", "\t"))
    return False


def _documents(data: bytes) -> Lines:
    import pyarrow as pa

    text = data.decode("utf-8", "replace")
    try:
        json.loads(text)
        parts = [text]
    except (ValueError, RecursionError):
        parts = re.split(r"\n(?=[{\[])", text)  # as jq writes several: what is inside is indented
    counts = [1, *(part.count("\n") + 1 for part in parts[:-1])]
    return Lines(pa.array(np.cumsum(counts).astype(np.int64)), pa.array(parts, pa.string()))


def _first_line(lines: Lines) -> str:
    return str(lines.text[0].as_py())[:4096] if len(lines) else ""


def _rows(number: Any, text: Any) -> pa.Table:
    """The relation `lines`."""
    import pyarrow as pa

    from memir.logs.lines import lines_table

    table = lines_table(number, text)
    return table.add_column(0, "row", pa.chunked_array([pa.array(np.arange(table.num_rows, dtype=np.int64))]))


def _take(
    connection: duckdb.DuckDBPyConnection, lines: pa.Table, order: Sequence[Format], first: str, read: LogFile,
    depth: int,
) -> pa.Table:  # fmt: skip
    """Give the lines to formats until none is left, then what they have inside. What nobody knows."""
    for each in order:
        if not lines.num_rows:
            return lines
        sql = each.sql(first)
        if sql is None:
            continue
        rows = _ask(connection, lines, sql)
        if rows.num_rows:
            taken = rows["row"].to_numpy()
            read.known += len(taken)
            placed = _placed(rows, lines, taken, read.name)
            read.tables.setdefault(each.table, []).append(placed if each.skip is None else _kept(placed, each, read))
            left = np.ones(lines.num_rows, bool)
            left[taken] = False
            lines = _left(lines, left)
    return lines if depth == 0 else _open(connection, lines, order, first, read, depth)


def _kept(rows: pa.Table, each: Format, read: LogFile) -> pa.Table:
    """Rows without those that the format leaves out, which are counted."""
    import pyarrow as pa
    import pyarrow.compute as pc

    assert each.skip is not None
    column, why = each.skip
    marks: Any = rows[column]
    skipped: Any = pc.fill_null(marks, pa.scalar(False))
    kept = rows.filter(pc.invert(skipped)).drop_columns([column])
    read.skipped[why] = read.skipped.get(why, 0) + rows.num_rows - kept.num_rows
    return kept


def _left(lines: pa.Table, keep: Any) -> pa.Table:
    import pyarrow as pa

    kept = lines.filter(pa.array(keep))
    return _rows(_one(kept["number"]), _one(kept["text"]))


def _one(column: Any) -> Any:
    import pyarrow as pa

    joined = column.combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined


def _placed(rows: pa.Table, lines: pa.Table, taken: Any, name: str) -> pa.Table:
    import pyarrow as pa

    number = _one(lines["number"]).take(pa.array(taken))
    placed = rows.drop_columns(["row"]).append_column("log", _named(name, len(taken)))
    return placed.append_column("line", number)


def _named(name: str, count: int) -> Any:
    """A column that has the file's name in every row."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([name]))


def _rest(stream: Stream) -> str:
    """The hash of a file that is read in another way."""
    for _ in stream:
        pass
    return stream.sha256


def _open(
    connection: duckdb.DuckDBPyConnection, lines: pa.Table, order: Sequence[Format], first: str, read: LogFile,
    depth: int,
) -> pa.Table:  # fmt: skip
    """Look into envelopes; the lines that are none."""
    if not lines.num_rows:
        return lines
    inside = _ask(connection, lines, _unwrapped())
    if not inside.num_rows:
        return lines
    opened = np.zeros(lines.num_rows, bool)
    opened[inside["row"].to_numpy()] = True
    inner = _take(connection, _rows(_one(inside["number"]), _one(inside["text"])), order, first, read, depth - 1)
    import pyarrow as pa

    names = ["number", "text"]
    both = pa.concat_tables([_left(lines, ~opened).select(names), inner.select(names)])
    return _rows(_one(both["number"]), _one(both["text"]))


def _unwrapped() -> str:
    """Parts of lines that are envelopes: row, number, text."""
    lists = ", ".join(
        f"case when json_array_length(text, '{path}') between 1 and {_MOST_PARTS} "
        f"then json_extract_string(text, '{path}[*]') end" for path in _LISTS
    )  # fmt: skip
    inner = ", ".join(f"case when json_type(text, '{path}') in ('VARCHAR', 'OBJECT') then "
                      f"[json_extract_string(text, '{path}')] end" for path in _INNER)  # fmt: skip
    return f"""
        with opened as (
            select row, number, coalesce(
                case when json_valid(text) then coalesce({lists}, {inner}) end,
                case when regexp_matches(text, '{_PREFIX}', 's')
                    then [regexp_extract(text, '{_PREFIX}', 1, 's')] end) as parts
            from lines)
        select row, number, unnest(parts) as text from opened where parts is not null
    """


def _count_unknown(connection: duckdb.DuckDBPyConnection, lines: pa.Table, first: str, name: str, gaps: Gaps) -> None:
    if not lines.num_rows:
        return
    header = first.strip().replace("'", "''") if names_of(first) else ""
    sql = f"""
        select count(*) filter (json) as other, count(*) filter (not json and brace) as broken,
            count(*) filter (not json and not brace) as text, min(number) as first
        from (select number, json_valid(text) as json, regexp_matches(text, '^\\s*[{{\\[]') as brace
            from lines where text is not null and not regexp_matches(text, '{_BLANK}')
                and trim(text, chr(10) || chr(13) || ' ') <> '{header}')
    """
    row = _ask(connection, lines, sql).to_pylist()[0]
    where = f"{name}, line {row['first']}"
    gaps.add(KIND, where, "lines that are not whole JSON", row["broken"])
    gaps.add(KIND, where, "JSON of no format that memir reads", row["other"])
    gaps.add(KIND, where, "lines of no format that memir reads", row["text"])


def _ask(connection: duckdb.DuckDBPyConnection, lines: pa.Table, sql: str) -> pa.Table:
    connection.register("lines", lines)
    try:
        rows: pa.Table = connection.sql(sql).to_arrow_table()
        return rows
    finally:
        connection.unregister("lines")
