"""SQL over a case's tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memir.errors import CaseError, UsageError
from memir.report.case import TABLES_FOLDER, read_case


def query(folder: Path, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Column names and rows of a query; tables go by their names (processes, containers, ...).

    The tables are loaded first and DuckDB's access to files and network is then shut, so a query cannot reach further.
    CaseError if the folder is no case or a table is damaged, UsageError if the SQL is wrong.
    """
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    read_case(folder)
    connection = duckdb.connect(":memory:")
    for path in sorted((folder / TABLES_FOLDER).glob("*.parquet")):
        try:
            connection.register(path.stem, pq.read_table(path))
        except (OSError, pa.ArrowException) as error:
            raise CaseError(f"{path}: cannot be read: {error}") from error
    connection.execute("SET TimeZone = 'UTC'; SET enable_external_access = false; SET lock_configuration = true")
    try:
        result = connection.execute(sql)
        names = [column[0] for column in result.description or []]
        return names, result.fetchall()
    except duckdb.Error as error:
        raise UsageError(f"SQL: {error}") from error
