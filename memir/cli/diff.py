# SPDX-License-Identifier: Apache-2.0
"""`memir diff CASE CASE`: what is new, gone and changed."""

from __future__ import annotations

from typing import Annotated

import typer

from memir.cli.common import JsonOption, print_json
from memir.text import say_all


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("diff")(diff)


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A case: the earlier one, or the one known to be good.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The case to compare with it.")],
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only this: processes, files, ...; may be repeated.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare two cases: two times of a node, two nodes of a pool, a node and one that is known to be good.

    Rows are matched by workload, container, program and path, never by pid. Exit 0: done.
    """
    from memir.case.diff import diff as compared
    from memir.report.diff import diff_lines

    result = compared(old, new, kind or ())
    if json:
        print_json(result.to_json())
    else:
        say_all(diff_lines(result))
