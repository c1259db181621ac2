# SPDX-License-Identifier: Apache-2.0
"""SQL over Arrow tables by DuckDB, which can reach nothing else."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, TypeVar

from memir.errors import UsageError

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")
_AGAIN = 0.1
"""Seconds until a query that has not heeded an interrupt is interrupted again: the first may come before it starts."""
_database: list[duckdb.DuckDBPyConnection] = []
_making = threading.Lock()
os.register_at_fork(before=_database.clear)  # a child has none of its threads, and could not end them


def _connection() -> duckdb.DuckDBPyConnection:
    """A connection of its own to this process's one database, which is empty and in memory.

    To make a database takes 40 ms, a connection to it 0.1. What a connection registers it alone sees, and has to be a
    temporary table or macro. The settings are the database's and locked: UTC, no files, no network.
    """
    import duckdb

    with _making:
        database = next(iter(_database), None)
        if database is None:
            database = duckdb.connect(":memory:")
            for setting in ("TimeZone = 'UTC'", "enable_external_access = false", "lock_configuration = true"):
                database.execute(f"SET GLOBAL {setting}")
            _database.append(database)
        return database.cursor()


def named(sql: str, known: Iterable[str]) -> list[str]:
    """Which of the known tables the SQL names: those that have to be read. UsageError if the SQL cannot be parsed."""
    import duckdb

    if not sql.strip().strip(";").strip():
        raise UsageError(f"SQL: nothing is asked. {_list(known)}")
    try:
        with _connection() as connection:
            words = {name.lower() for name in connection.get_table_names(sql)}
    except duckdb.ParserException as error:
        raise UsageError(f"SQL: {error}") from error
    except duckdb.Error:  # a statement that reads no table; a name in it is still one
        words = set(re.findall(r"\w+", sql.lower()))
    return [name for name in known if name.lower() in words]


_QUESTIONS = {"SELECT", "EXPLAIN", "PRAGMA", "CALL", "MULTI"}
"""Kinds of statements, as DuckDB names them, that ask and change nothing; MULTI is a PIVOT."""


def check_question(sql: str) -> None:
    """UsageError for several statements (the last one's answer alone would be given), and for one that writes."""
    import duckdb

    try:
        with _connection() as connection:
            kinds = [statement.type.name for statement in connection.extract_statements(sql)]
    except duckdb.Error as error:
        raise UsageError(f"SQL: {error}") from error
    if len(kinds) > 1:
        raise UsageError(f"SQL: {len(kinds)} statements: ask one at a time, its parts as `with NAME as (...) select`")
    for kind in kinds:
        if kind not in _QUESTIONS:
            raise UsageError(f"SQL: {kind} is no question: tables are only read here; begin with select, or with")


@contextlib.contextmanager
def connected(tables: Mapping[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB over Arrow tables or datasets by name, in UTC, shut off from files and network; closed at the end."""
    with _connection() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        yield connection


def ask(tables: Mapping[str, Any], sql: str, known: Sequence[str] | None = None) -> Any:
    """The answer as an Arrow table; a second column `pid` is named `pid_1`. known: all tables there are, for messages.

    DuckDB is shut off from files and network before the SQL runs. UsageError if the SQL is wrong.
    """
    import duckdb

    check_question(sql)
    try:
        with connected(tables) as connection:
            answer = interruptible(connection, lambda: _arrow(connection, sql))
    except duckdb.CatalogException as error:
        raise UsageError(f"SQL: {error}\n{_list(known if known is not None else tables)}") from error
    except duckdb.Error as error:
        raise UsageError(f"SQL: {error}") from error
    return answer.rename_columns(unique(answer.column_names))


def _arrow(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    import pyarrow as pa

    relation = connection.sql(sql)
    return pa.table({}) if relation is None else relation.to_arrow_table()  # None: a statement without a result


def interruptible(connection: duckdb.DuckDBPyConnection, work: Callable[[], T]) -> T:
    """What `work` returns, which runs the connection's query in a thread, so that Ctrl-C ends it at once.

    On the main thread DuckDB can wait for its own threads without looking at signals, as long as the query takes.
    """
    with ThreadPoolExecutor(1, "sql") as pool:
        future = pool.submit(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            while not future.done():
                connection.interrupt()
                wait([future], _AGAIN)
            raise


def unique(names: Sequence[str]) -> list[str]:
    """Column names with a number behind those that an earlier one has already."""
    taken: set[str] = set()
    out: list[str] = []
    for name in names:
        chosen, number = name, 0
        while chosen in taken or (number and chosen in names):
            number += 1
            chosen = f"{name}_{number}"
        taken.add(chosen)
        out.append(chosen)
    return out


def _list(names: Iterable[str]) -> str:
    return f"The tables are {', '.join(names)}."
