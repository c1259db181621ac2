# SPDX-License-Identifier: Apache-2.0
"""`memir collect pod NS/NAME -o DIR`: everything of one pod, from the API server and from its node's side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memir.cli.collect_ecs import ecs
from memir.cli.collect_fargate import fargate
from memir.cli.collect_print import go, verb
from memir.cli.common import JsonOption, print_json
from memir.cli.group import Group
from memir.collect.ecs.settings import EcsSettings
from memir.collect.fargate.settings import FargateSettings
from memir.collect.settings import Settings
from memir.text import say

app = typer.Typer(
    cls=Group,
    help="Collect a pod whole, from its node's side; or from within, where nobody reaches the node.",
    no_args_is_help=True, rich_markup_mode=None,
)  # fmt: skip


def register(parent: typer.Typer) -> None:
    """Add `memir collect` to the command line."""
    parent.add_typer(app, name="collect")


@app.callback()
def _root() -> None:
    """Collect a pod whole, from its node's side; or from within, where nobody reaches the node."""


def pod(settings: Settings, *, as_json: bool) -> None:
    """A pod from its node's side."""
    from memir.collect.launch import prepare

    go(settings, prepare, as_json=as_json)


app.command("pod")(verb(Settings, pod))


@app.command()
def close(
    evidence: Annotated[Path, typer.Argument(help="Evidence folder of a collection whose controller was killed.")],
    *,
    sign_key: Annotated[Path | None, typer.Option("--sign-key", help="The key that the run began with.")] = None,
    json: JsonOption = False,
) -> None:
    """Close a collection that was killed: record and sign what arrived, so that it can be verified and analyzed."""
    from memir.collect.close import close_collection

    receipt = close_collection(evidence, sign_key)
    if json:
        print_json(dict(receipt.document()))
        return
    there = f"{receipt.collection.received:,} files from the node, {receipt.collection.bytes:,} bytes in all"
    say(f"{evidence}: closed as {receipt.status}: {there}")
    for missing in receipt.missing:
        say(f"missing: {missing}")


app.command("fargate")(verb(FargateSettings, fargate))
app.command("ecs")(verb(EcsSettings, ecs))
