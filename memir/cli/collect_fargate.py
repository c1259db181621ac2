# SPDX-License-Identifier: Apache-2.0
"""`memir collect fargate NS/NAME -o DIR`: a pod from within, where nobody reaches its node."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from memir.cli.collect_print import go
from memir.errors import UsageError
from memir.text import say

if TYPE_CHECKING:
    from memir.collect.fargate.settings import FargateSettings
    from memir.collect.run import PodCollection


def fargate(settings: FargateSettings, *, as_json: bool) -> None:
    """A pod from within."""
    from memir.collect.fargate.launch import prepare, where_it_runs

    def look(run: PodCollection) -> None:
        if warning := where_it_runs(run.target):
            say(warning, err=True)
        if settings.way == "ephemeral" and not (settings.dry_run or settings.accept_ephemeral):
            _ask(run, as_json=as_json)

    go(settings, prepare, as_json=as_json, look=look)


def _ask(run: PodCollection, *, as_json: bool) -> None:
    """Print the plan and have the container accepted on the terminal. Raises UsageError where it is not."""
    from memir.cli.acquire_print import show_plan
    from memir.collect.fargate.transport import PERMANENT, ContainerTransport

    if as_json or not (sys.stdin is not None and sys.stdin.isatty()):
        raise UsageError(f"{PERMANENT}: read --dry-run, then --accept-ephemeral (no terminal to ask on); or --way exec")
    _, checks, plan = run.preflight(look=False)
    show_plan(plan, checks)
    if typer.prompt(f"{PERMANENT}. Do it? yes or no", default="no", err=True) != "yes":
        raise UsageError("not accepted: nothing was changed")
    assert isinstance(run.transport, ContainerTransport)
    run.transport.accepted = True
