# SPDX-License-Identifier: Apache-2.0
"""`memir acquire`: take a live node's RAM. One verb a transport, its options made from the transport's dataclass."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from memir.acquire.settings import Shared
from memir.acquire.transports.registry import TRANSPORTS
from memir.cli.common import made_verb, parameters_of
from memir.cli.group import Group

app = typer.Typer(
    cls=Group, help="Take a live node's RAM: nothing on its disk, custody proved.", no_args_is_help=True,
    rich_markup_mode=None,
)  # fmt: skip


def register(parent: typer.Typer) -> None:
    """Add `memir acquire` to the command line."""
    parent.add_typer(app, name="acquire")


def verb(own: type) -> Callable[..., None]:
    """The function that typer makes a verb of: a parameter for every field of both options."""

    def run(**values: Any) -> None:
        from memir.acquire.launch import prepare
        from memir.cli.acquire_print import go

        mine = {field.name: values[field.name] for field in dataclasses.fields(own)}
        rest = {field.name: values[field.name] for field in dataclasses.fields(Shared)}
        shared = Shared(**rest)
        names, make = prepare(own(**mine), shared, sys.argv[1:])
        go(shared, names, make)

    return made_verb(run, own.__doc__, [*parameters_of(own), *parameters_of(Shared)])


for name, options in TRANSPORTS.items():
    app.command(name)(verb(options))


@app.command()
def close(
    evidence: Annotated[Path, typer.Argument(help="Evidence folder of a run whose controller was killed.")],
    *,
    sign_key: Annotated[Path | None, typer.Option("--sign-key", help="The key that the run began with.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Close a run that was killed: judge and sign what arrived, so that it can be analysed."""
    from memir.acquire.close import close_run
    from memir.text import say, say_json

    receipt = close_run(evidence, sign_key)
    if as_json:
        say_json(receipt.document(), indent=2)
    else:
        say(f"{evidence}: closed as {receipt.status}, {receipt.image.size:,} bytes of the image are there")
        for missing in receipt.missing:
            say(f"missing: {missing}")
