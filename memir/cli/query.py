"""`memir query CASE SQL`: DuckDB over a case's tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memir.cli.common import JsonOption, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("query")(query)


def query(
    case: Annotated[Path, typer.Argument(metavar="CASE", help="A case folder, as `memir analyze -o` writes it.")],
    sql: Annotated[str, typer.Argument(metavar="SQL", help='e.g. "select pid, comm from processes where exe_deleted"')],
    json: JsonOption = False,
) -> None:
    """Ask a case's tables in SQL (DuckDB): processes, containers, pods, namespaces, ..."""
    from memir.report.query import query as ask

    columns, rows = ask(case, sql)
    if json:
        print_json({"columns": columns, "rows": [dict(zip(columns, row, strict=True)) for row in rows]})
    else:
        print_table(columns, rows)
