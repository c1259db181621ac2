# SPDX-License-Identifier: Apache-2.0
"""`memir respond plan.yaml`: a dry run, the run, going on with it, and taking it back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from memir.cli.common import JsonOption, print_json
from memir.errors import EXIT_REMOTE, UsageError
from memir.text import counted, say, say_all

if TYPE_CHECKING:
    from memir.respond.actions.base import World
    from memir.respond.journal import Journal
    from memir.respond.plan import Plan, Step


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("respond")(respond)


def respond(
    plan_file: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan, as `memir plan` writes it.")],
    execute: Annotated[bool, typer.Option("--execute", help="Do it; each step is asked for on the terminal.")] = False,
    approve: Annotated[
        str | None, typer.Option("--approve", metavar="SHA256", help="Of the plan that you have read; asks nothing.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="STEP", help="Of all steps, this: an id as in [...], or a kind, as acquire."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that ended or was killed.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what the record says was done.")] = False,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="DIR", help="The run's record; by default beside the plan.")
    ] = None,
    kubeconfig: Annotated[str | None, typer.Option("--kubeconfig", help="Instead of ~/.kube/config.")] = None,
    context: Annotated[str | None, typer.Option("--context", help="Context of the kubeconfig.")] = None,
    region: Annotated[str | None, typer.Option("--region", help="AWS region.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="AWS profile.")] = None,
    json: JsonOption = False,
) -> None:
    """Print what each step would do. With --execute or --undo, do it or take it back, with a custody chain.

    A fact that one step lacks does not hold up another: --only acquire takes the RAM; --resume goes on with the rest,
    with what --check filled in too. The SHA-256 is always that of the whole plan.

    Exit 0: done. 2: refused, nothing changed. 4: stopped at a surprise, or something could not be taken back.
    """
    from memir.aws.client import Connection
    from memir.kubeapi.client import KubeOptions
    from memir.respond.launch import record_folder, world_of
    from memir.respond.plan import read_plan

    plan, digest = read_plan(plan_file)
    if not (execute or resume or undo):
        _dry_run(plan, digest, only or [], json)
        return
    if undo and only:
        raise UsageError("--only chooses what is run; --undo takes back all that the record has: leave --only out")
    if undo and (execute or resume):
        raise UsageError("--undo takes a run back, --execute and --resume go on with it: one of them")
    ask = _asker(approve, digest)
    folder = record or record_folder(plan_file)
    world = world_of(plan, KubeOptions(kubeconfig, context), Connection(region, profile=profile))
    from memir.respond.journal import Journal
    from memir.respond.run import check_runnable

    if not (undo or resume):
        check_runnable(plan, only or [])
    journal = (
        Journal.resume(folder, digest, sys.argv[1:], plan=plan)
        if resume or undo
        else Journal.start(folder, plan.id, digest, sys.argv[1:])
    )
    try:
        if undo:
            _undo(plan, journal, world, ask, json)
        else:
            _execute(plan, journal, world, ask, only or [], json)
    finally:
        journal.close()
    if not json:
        say(f"Record      {folder}")


class _Asker:
    """Asks for each step on the terminal, or knows that the plan was approved."""

    def __init__(self, approved: bool) -> None:
        self.approved = approved

    def step(self, step: Step) -> Literal["run", "skip", "stop"]:
        from memir.respond.describe import step_lines

        if self.approved:
            return "run"
        say_all(step_lines(step, 0, whole=True))
        answer = typer.prompt("Do it? yes, skip or stop", default="stop", err=True)
        return "run" if answer == "yes" else "skip" if answer == "skip" else "stop"

    def undo(self, count: int) -> bool:
        question = f"Take back {counted(count, 'change')}? yes or no"
        return self.approved or typer.prompt(question, default="no", err=True) == "yes"


def _asker(approve: str | None, digest: str) -> _Asker:
    if approve is not None:
        if approve.lower() != digest:
            raise UsageError(f"--approve {approve}: the plan's SHA-256 is {digest}: read it again")
        return _Asker(True)
    if not (sys.stdin is not None and sys.stdin.isatty()):
        raise UsageError("no terminal to ask on: run it on one, or give --approve and the SHA-256 of the plan")
    return _Asker(False)


def _dry_run(plan: Plan, digest: str, only: list[str], json: bool) -> None:
    from dataclasses import replace

    from memir.documents import encode
    from memir.respond.choose import chosen
    from memir.respond.describe import lacking_lines, plan_lines

    part = replace(plan, steps=chosen(plan, only))
    if json:
        print_json({"sha256": digest, "unresolved": part.unresolved(), "plan": encode(part)})
        return
    say_all(plan_lines(part, whole=True))
    say("Nothing was changed and nothing was contacted: this was a dry run.")
    say(f"SHA-256     {digest}{', of the whole plan' if only else ''}")
    say_all(lacking_lines(part))


def _execute(plan: Plan, journal: Journal, world: World, ask: _Asker, only: list[str], json: bool) -> None:
    from memir.respond.describe import done_lines
    from memir.respond.run import execute, left_out

    outcomes = execute(plan, journal, world, ask.step, lambda done: None if json else say_all(done_lines(done)), only)
    rest = left_out(plan, journal, only)
    if json:
        print_json({
            "record": str(journal.folder),
            "steps": [{"id": done.step.id, "outcome": done.outcome, "details": done.details} for done in outcomes],
            "left_out": [step.id for step in rest],
        })  # fmt: skip
    elif rest and only:
        say(f"Left out    {counted(len(rest), 'step')} that --only does not name: go on with --resume")


def _undo(plan: Plan, journal: Journal, world: World, ask: _Asker, json: bool) -> None:
    from memir.respond.describe import undone_lines
    from memir.respond.undo import undo

    if not ask.undo(len(journal.entries)):
        raise UsageError("nothing was taken back")
    outcomes = undo(plan, journal, world, lambda outcome: None if json else say_all(undone_lines(outcome)))
    if json:
        rows = [{"change": outcome.change, "kept": outcome.kept, "words": outcome.words} for outcome in outcomes]
        print_json({"record": str(journal.folder), "changes": rows})
    if any(outcome.kept for outcome in outcomes):
        raise typer.Exit(EXIT_REMOTE)
