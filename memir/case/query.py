# SPDX-License-Identifier: Apache-2.0
"""SQL over a case's tables, by DuckDB that can reach nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.case.partial import gap_table
from memir.case.read_record import read_record
from memir.case.store import PRIVATE, table_files
from memir.errors import CaseError, UsageError
from memir.tables.sql import ask as arrow_of
from memir.tables.sql import check_question, connected, interruptible, unique

if TYPE_CHECKING:
    import duckdb

_MADE_BY = {
    "hits": "memir hunt IMAGE -o CASE",
    "secret_values": "--reveal attaches it",
}
GAPS = "gaps"
"""The table of what could not be read: made of case.json, and no file."""
_STREAM = "reading the stream registered as"
"""DuckDB's words for a table whose pages Arrow could not read: no fault of the SQL."""


@dataclass(frozen=True)
class Answer:
    """What a query gave. columns: names, each once (a second `pid` is `pid_1`); rows: values as Python has them."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        """The rows by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def query(folder: Path, sql: str, *, reveal: bool = False) -> Answer:
    """Ask a case's tables, which go by their names (processes, containers, ...).

    Each table is a Parquet file that Arrow opens here and hands over: only the columns and row groups that the SQL
    needs are read. DuckDB itself is shut off from files and network, so that a query cannot reach further. reveal: the
    clear values of secrets too. CaseError if the folder is no case or a table is damaged, UsageError if the SQL is
    wrong; it then lists the tables.
    """
    read_record(folder)
    return ask(datasets(folder, reveal=reveal), sql)


def parquet(folder: Path, sql: str, *, reveal: bool = False) -> bytes:
    """What query() gives as a Parquet file, with the types that DuckDB's columns have."""
    import io

    import pyarrow.parquet as pq

    read_record(folder)
    tables = datasets(folder, reveal=reveal)
    out = io.BytesIO()
    pq.write_table(arrow_of(tables, sql), out, compression="zstd")
    return out.getvalue()


def ask(tables: Mapping[str, Any], sql: str) -> Answer:
    """SQL over Arrow datasets or tables by name; see query()."""
    import duckdb
    import pyarrow as pa

    if not sql.strip().strip(";").strip():
        raise UsageError(f"SQL: nothing is asked. {_list(tables)}")
    check_question(sql)
    try:
        with connected(tables) as connection:
            return interruptible(connection, lambda: _answer(connection, sql))
    except duckdb.CatalogException as error:
        raise UsageError(f"SQL: {error}\n{_list(tables)}") from error
    except duckdb.BinderException as error:
        named = sorted(set(re.findall(r"\w+", sql)) & set(tables))
        schemas = ", ".join(f"`memir query CASE --schema {name}`" for name in named[:3])
        raise UsageError(f"SQL: {error}" + (f"\nthe columns: {schemas}" if schemas else "")) from error
    except duckdb.InvalidInputException as error:
        if _STREAM not in str(error):
            raise UsageError(f"SQL: {error}") from error
        raise CaseError(f"a table is damaged: {error}: `memir verify CASE` says which") from error
    except duckdb.Error as error:
        raise UsageError(f"SQL: {error}") from error
    except (pa.ArrowException, OSError) as error:  # a table whose footer is whole and whose pages are not
        raise CaseError(f"a table is damaged: {error}: `memir verify CASE` says which") from error


def _answer(connection: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    result = connection.execute(sql)
    if result is None or result.description is None:  # only a comment, or a statement without a result
        return Answer((), [])
    return Answer(tuple(unique([str(column[0]) for column in result.description])), result.fetchall())


def datasets(folder: Path, *, reveal: bool) -> dict[str, Any]:
    """The tables of a case by name, as Arrow datasets that read what is asked of them. CaseError if one is damaged."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    datasets: dict[str, Any] = {}
    for name, path in table_files(folder).items():
        if name in PRIVATE and not reveal:
            continue
        try:
            datasets[name] = ds.dataset(path, format="parquet")
        except (OSError, pa.ArrowException) as error:
            raise CaseError(f"{path}: cannot be read: {error}") from error
    return datasets | {GAPS: gap_table(read_record(folder))}


def _list(tables: Mapping[str, Any]) -> str:
    text = f"The case has the tables {', '.join(tables) or '(none)'}"
    more = [f"{name} ({how})" for name, how in _MADE_BY.items() if name not in tables]
    return f"{text}; it could have {' and '.join(more)}." if more else f"{text}."
