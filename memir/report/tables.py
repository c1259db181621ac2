"""Rows to Arrow tables and Parquet files, with the columns and types of memir.model.TABLES."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from memir.errors import CaseError
from memir.model import TABLES, Column

_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint32": pa.uint32(),
    "uint64": pa.uint64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("ns", tz="UTC"),
    "list<int32>": pa.list_(pa.int32()),
    "list<string>": pa.list_(pa.string()),
}


def schema(table: str) -> pa.Schema:
    """The Arrow schema of one of memir's tables; each column's meaning is in its metadata."""
    return pa.schema([_field(column) for column in TABLES[table]])


def _field(column: Column) -> pa.Field[Any]:
    return pa.field(column.name, _TYPES[column.type], metadata={"doc": column.doc})


def to_arrow(table: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as an Arrow table. A column that a row does not have is null; a key that is no column is an error."""
    rows = list(rows)
    wanted = [column.name for column in TABLES[table]]
    for row in rows[:1]:
        extra = set(row) - set(wanted)
        if extra:
            raise CaseError(f"table {table} has no column {', '.join(sorted(extra))}")
    columns = [
        pa.array([_clean(row.get(column.name)) for row in rows], _TYPES[column.type]) for column in TABLES[table]
    ]
    return pa.Table.from_arrays(columns, schema=schema(table))


def plain_arrow(rows: list[Mapping[str, Any]]) -> pa.Table:
    """Rows of someone else's columns as an Arrow table; a column of several types, or of odd values, becomes text."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = []
    for name in names:
        values = [_clean(row.get(name)) for row in rows]
        try:
            columns.append(pa.array(values))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            columns.append(pa.array([None if value is None else _clean(str(value)) for value in values], pa.string()))
    return pa.table(dict(zip(names, columns, strict=True)))


def _clean(value: Any) -> Any:
    """Arrow's strings are UTF-8: a lone surrogate, which JSON from an image may hold, is escaped."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_clean(one) for one in value]
    return value


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write one table under a temporary name, then rename; CaseError if the folder cannot be written."""
    temporary = path.with_name(path.name + ".part")
    try:
        pq.write_table(table, temporary, compression="zstd")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CaseError(f"{path}: cannot be written: {error.strerror or error}") from error
