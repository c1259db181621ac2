# SPDX-License-Identifier: Apache-2.0
"""`memir query CASE SQL`: DuckDB over a case's tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memir.cli.common import JsonOption, print_json, print_table
from memir.errors import UsageError
from memir.text import say


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("query")(query)


def query(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="A case folder, as `memir analyze -o` writes it.")],
    sql: Annotated[
        str | None, typer.Argument(metavar="SQL", help='e.g. "select pid, comm from processes where exe_deleted"')
    ] = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", "--show-secrets", help="Attach secret_values: the secrets in clear.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the case's tables.")] = False,
    schema: Annotated[str | None, typer.Option("--schema", metavar="TABLE", help="A table's columns.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="Print one JSON object a row.")] = False,
    json: JsonOption = False,
) -> None:
    """Ask a case's tables in SQL (DuckDB): processes, containers, pods, namespaces, ..."""
    from memir.case.case import Case
    from memir.case.export import csv_lines, json_rows

    if sum((json, csv, jsonl)) > 1:
        raise UsageError("--json, --csv and --jsonl: one of them")
    if sum((sql is not None, listing, schema is not None)) != 1:
        raise UsageError("one question: SQL, --list or --schema TABLE")
    opened = Case(case)
    if sql is not None:
        answer = opened.sql(sql, reveal=reveal)
    else:
        answer = opened.schema(schema) if schema is not None else opened.listing()
    if json:
        print_json({"columns": answer.columns, "rows": list(json_rows(answer.columns, answer.rows))})
    elif jsonl:
        for row in json_rows(answer.columns, answer.rows):
            print_json(row)
    elif csv:
        for line in csv_lines(answer.columns, answer.rows):
            say(line)
    else:
        print_table(answer.columns, answer.rows)
