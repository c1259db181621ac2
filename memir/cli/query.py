# SPDX-License-Identifier: Apache-2.0
"""`memir query CASE SQL`: DuckDB over a case's tables."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from memir.cli.common import CsvOption, JsonlOption, JsonOption, LimitOption, print_json, print_rows
from memir.errors import UsageError
from memir.text import say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("query")(query)


def query(
    case: Annotated[str, typer.Argument(metavar="CASE", help="A case folder, as `memir analyze -o` writes it.")],
    sql: Annotated[
        str | None, typer.Argument(metavar="SQL", help='e.g. "select pid, comm from processes where exe_deleted"')
    ] = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", "--show-secrets", help="Attach secret_values: the secrets in clear.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the case's tables.")] = False,
    schema: Annotated[str | None, typer.Option("--schema", metavar="TABLE", help="A table's columns.")] = None,
    csv: CsvOption = False,
    jsonl: JsonlOption = False,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", metavar="FILE", help="Write the rows as Parquet, with their types.")
    ] = None,
    limit: LimitOption = None,
    json: JsonOption = False,
) -> None:
    """Ask a case's tables in SQL (DuckDB): processes, containers, pods, namespaces, ..."""
    import memir
    from memir.case.export import json_rows
    from memir.case.partial import partial

    if sum((json, csv, jsonl, parquet is not None)) > 1:
        raise UsageError("--json, --csv, --jsonl and --parquet: one of them")
    if sum((sql is not None, listing, schema is not None)) != 1:
        raise UsageError("one question: SQL, --list or --schema TABLE")
    if sql is not None and not Path(case).exists() and Path(sql).is_dir():
        raise UsageError(f"the case comes first, then the SQL: `memir query {shlex.quote(sql)} {shlex.quote(case)}`")
    if parquet is not None:
        _write(case, sql, reveal, parquet)
        return
    opened = memir.Case(case)
    if sql is not None:
        answer = opened.sql(sql, reveal=reveal)
    else:
        answer = opened.schema(schema) if schema is not None else opened.listing()
    lacks = partial(opened.record)
    if lacks is not None:
        say(lacks, err=True)
    if json:
        rows = list(json_rows(answer.columns, answer.rows[:limit]))
        print_json({"columns": answer.columns, "rows": rows, "partial": lacks})
    else:
        print_rows(answer.columns, answer.rows, csv=csv, jsonl=jsonl, limit=limit)


def _write(case: str, sql: str | None, reveal: bool, file: Path) -> None:
    """The rows as a Parquet file, whole or not at all."""
    from memir.case.partial import partial
    from memir.case.query import parquet
    from memir.case.read_record import read_record
    from memir.report.write import write_report

    if sql is None:
        raise UsageError("--parquet writes the rows of SQL")
    if (lacks := partial(read_record(Path(case)))) is not None:
        say(lacks, err=True)
    size = write_report([parquet(Path(case), sql, reveal=reveal)], file)
    say(f"{file}: {size:,} bytes")
