# SPDX-License-Identifier: Apache-2.0
"""One node or many acquired, and what is printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from memir.errors import EXIT_REMOTE, MemirError
from memir.report.progress import ProgressLine
from memir.text import counted, say, say_all, say_json

if TYPE_CHECKING:
    from memir.acquire.run import Acquisition
    from memir.acquire.settings import Shared
    from memir.evidence.plan import Plan
    from memir.evidence.progress import Progress, Report


def go(shared: Shared, names: Sequence[str], make: Callable[[str, Report], Acquisition]) -> None:
    """Acquire one node or many, print what there is to print, end with the exit code."""
    if shared.dry_run:
        _dry_run(shared, [make(name, lambda _: None) for name in names])
    elif len(names) > 1:
        _many(shared, names, make)
    else:
        _one(shared, names[0], make)


def _one(shared: Shared, name: str, make: Callable[[str, Report], Acquisition]) -> None:
    from memir.evidence.receipt import read_receipt

    with ProgressLine() as line:
        report = reporter(line)
        acquisition = make(name, lambda progress: report(name, progress))
        try:
            receipt = acquisition.execute()
        except MemirError as error:
            if not shared.as_json or not (acquisition.evidence / "receipt.json").is_file():
                raise
            say_json(read_receipt(acquisition.evidence).document(), indent=2)
            raise typer.Exit(error.exit_code) from error
    if shared.as_json:
        say_json(receipt, indent=2)
    else:
        show_complete(acquisition.evidence, receipt)


def _many(shared: Shared, names: Sequence[str], make: Callable[[str, Report], Acquisition]) -> None:
    from memir.acquire.fleet import acquire_many, worst

    with ProgressLine() as line:
        outcomes = acquire_many(names, make, parallel=shared.parallel, report=reporter(line))
    if shared.as_json:
        rows = [
            {"node": outcome.name, "evidence": str(outcome.evidence),
             "error": str(outcome.error) if outcome.error else None,
             "exit_code": outcome.error.exit_code if outcome.error else 0, "receipt": outcome.receipt}
            for outcome in outcomes
        ]  # fmt: skip
        say_json({"nodes": rows}, indent=2)
    else:
        for outcome in outcomes:
            end = f"complete, {outcome.evidence}" if outcome.error is None else str(outcome.error)
            say(f"{outcome.name}: {end}")
    if code := worst(outcomes):
        raise typer.Exit(code)


def _dry_run(shared: Shared, runs: Sequence[Acquisition]) -> None:
    from dataclasses import asdict

    from memir.acquire.dry_run import dry_run

    documents = []
    refused = False
    for run in runs:
        try:
            seen = dry_run(run)
        finally:
            run.transport.close()
        refused = refused or bool(seen.failed)
        documents.append({"evidence": str(run.evidence), "checks": [asdict(check) for check in seen.checks],
                          "not_asked": seen.not_asked, "plan": asdict(seen.plan)})  # fmt: skip
        if not shared.as_json:
            show_plan(seen.plan, seen.checks, seen.not_asked)
    if shared.as_json:
        say_json(documents[0] if len(documents) == 1 else documents, indent=2)
    if refused:
        raise typer.Exit(EXIT_REMOTE)


def show_plan(plan: Plan, checks: Sequence[Any], not_asked: Sequence[str] = ()) -> None:
    """The plan for people; its last line says whether a run would be refused. not_asked: what nobody could be asked."""
    say("Checks (nothing was changed):")
    for check in checks:
        advice = f" -> {check.advice}" if check.advice and check.level != "ok" else ""
        say(f"  {check.level:4} {check.name}: {check.detail}{advice}")
    say("Steps:")
    for number, step in enumerate(plan.steps, 1):
        changes = {"node": " (changes the node)"}.get(step.where, " (changes something there)") if step.changes else ""
        say(f"  {number:2} [{step.where}] {step.what}{changes}")
    say("Traces:")
    for trace in plan.traces:
        say(f"  {trace.where}: {trace.what}{'' if trace.stays else ' (does not stay)'}")
    for warning in plan.warnings:
        say(f"Warning: {warning}")
    say_all(f"Not asked: {what}" for what in not_asked)
    failed = [check.name for check in checks if check.level == "fail"]
    if failed:
        end = "a run would be refused; nothing was changed"
        say(f"{counted(len(failed), 'check')} failed ({', '.join(failed)}): {end}")
    else:
        say("No check failed: a run would go on from here; nothing was changed")


def reporter(line: ProgressLine) -> Callable[[str, Progress], None]:
    """What an acquisition reports, on the progress line of the terminal."""
    return lambda name, progress: line(progress.phase, progress.done, progress.expected or 0, name)


def show_complete(folder: Path, receipt: Any) -> None:
    """A complete run, for people."""
    image, tool = receipt["image"], receipt["tool"]
    place = f"{image['where']}, recorded in {folder}" if "://" in image["where"] else f"{folder}/{image['where']}"
    say(f"complete: {place}, {image['size']:,} bytes, SHA-256 {image['sha256']}")
    say(f"{tool['tool']} {tool['version']}, {receipt['seconds']:.1f} s; {receipt['banner']}")
    for note in [*receipt["notes"], *receipt["left_on_node"]]:
        say(f"note: {note}")
