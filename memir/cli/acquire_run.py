# SPDX-License-Identifier: Apache-2.0
"""From options to a run: folders, sinks, one node or many, what is printed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from memir.cli.acquire_options import Common
from memir.errors import EXIT_REMOTE, MemirError, UsageError
from memir.report.progress import ProgressLine
from memir.text import say, say_json

if TYPE_CHECKING:
    from memir.acquire.resume import PreviousRun
    from memir.acquire.run import Acquisition
    from memir.acquire.sinks.base import Sink
    from memir.acquire.transports.base import Transport
    from memir.evidence.plan import Plan
    from memir.evidence.progress import Progress, Report


def evidence_folder(common: Common, name: str, many: bool) -> Path:
    """Where a node's evidence goes on the controller."""
    if common.resume is not None:
        return common.resume
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name.rpartition("@")[2])[:80] or "node"
    given = common.output
    if given is None and common.to is not None and not common.to.startswith("s3://"):
        given = Path(common.to)
    if given is None:
        return Path(f"memir-{safe}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")
    return given / safe if many else given


def resumed_sink(common: Common, previous: PreviousRun) -> Sink:
    """The sink of a run that is gone on with: the same upload."""
    from memir.acquire.sinks.s3.direct import S3DirectSink
    from memir.acquire.sinks.s3.options import S3Options
    from memir.aws.address import S3Address
    from memir.aws.client import Connection

    connection = Connection(common.region, common.endpoint, common.profile)
    chosen = S3Options(connection, resume=previous.upload_id, part_size=previous.part_size)
    return S3DirectSink(S3Address.parse(previous.place), chosen)


def make_sink(common: Common, folder: Path, transport: Transport) -> Sink:
    """The sink for a run: the evidence folder, or S3 from the node or through here."""
    from memir.acquire.sinks.file import FileSink

    if common.to is None or not common.to.startswith("s3://"):
        return FileSink(folder)
    from memir.acquire.sinks.s3.direct import S3DirectSink
    from memir.acquire.sinks.s3.options import S3Options
    from memir.acquire.sinks.s3.stream import S3StreamSink
    from memir.aws.address import S3Address
    from memir.aws.client import Connection

    if common.via not in {"node", "controller"}:
        raise UsageError(f"--via {common.via!r}: write node or controller")
    mode, _, days = common.lock.partition(":")
    if common.lock and (mode not in {"GOVERNANCE", "COMPLIANCE"} or not days.isdigit() or not int(days)):
        raise UsageError(f"--object-lock {common.lock!r}: write GOVERNANCE:DAYS or COMPLIANCE:DAYS")
    base = S3Address.parse(common.to)
    address = S3Address(base.bucket, base.key(folder.name))
    chosen = S3Options(
        Connection(common.region, common.endpoint, common.profile), lock_mode=mode, lock_days=int(days or 0),
        rate=float(common.options.limit_rate),
    )  # fmt: skip
    if common.via == "controller" and transport.streams:
        return S3StreamSink(address, chosen)
    return S3DirectSink(address, chosen)


def go(common: Common, names: Sequence[str], connect: Callable[[str], Transport]) -> None:
    """Acquire one node or many, print what there is to print, end with the exit code."""
    from memir.acquire.run import Acquisition

    many = len(names) > 1
    if common.output is not None and common.to is not None and not common.to.startswith("s3://"):
        raise UsageError("give the evidence folder once: with -o, or with --to FOLDER")
    previous = _earlier(common, names)

    def make(name: str, report: Report) -> Acquisition:
        transport = connect(name)
        folder = evidence_folder(common, name, many)
        snapshot = _snapshot if common.cluster else None
        if previous is not None and previous.transport != transport.kind:
            raise UsageError(f"--resume {folder}: that run went over {previous.transport}, not {transport.kind}")
        sink = make_sink(common, folder, transport) if previous is None else resumed_sink(common, previous)
        return Acquisition(transport, sink, folder, common.options, report=report, snapshot=snapshot, previous=previous)

    if common.dry_run:
        _dry_run(common, [make(name, lambda _: None) for name in names])
    elif many:
        _many(common, names, make)
    else:
        _one(common, names[0], make)


def _earlier(common: Common, names: Sequence[str]) -> PreviousRun | None:
    if common.resume is None:
        return None
    from memir.acquire.resume import read_previous

    if len(names) > 1:
        raise UsageError("--resume goes on with one node: name that one")
    if common.output is not None and common.output != common.resume:
        raise UsageError("--resume goes on in its own evidence folder: leave -o away")
    return read_previous(common.resume)


def _snapshot(folder: Path) -> Sequence[Path]:
    from memir.kubeapi.snapshot import snapshot

    return snapshot(folder)


def _one(common: Common, name: str, make: Callable[[str, Report], Acquisition]) -> None:
    from memir.evidence.receipt import read_receipt

    with ProgressLine() as line:
        report = reporter(line)
        acquisition = make(name, lambda progress: report(name, progress))
        try:
            receipt = acquisition.execute()
        except MemirError as error:
            if not common.as_json or not (acquisition.evidence / "receipt.json").is_file():
                raise
            say_json(read_receipt(acquisition.evidence).document(), indent=2)
            raise typer.Exit(error.exit_code) from error
    if common.as_json:
        say_json(receipt, indent=2)
    else:
        show_complete(acquisition.evidence, receipt)


def _many(common: Common, names: Sequence[str], make: Callable[[str, Report], Acquisition]) -> None:
    from memir.acquire.fleet import acquire_many, worst

    with ProgressLine() as line:
        outcomes = acquire_many(names, make, parallel=common.parallel, report=reporter(line))
    if common.as_json:
        rows = [
            {"node": one.name, "evidence": str(one.evidence), "error": str(one.error) if one.error else None,
             "exit_code": one.error.exit_code if one.error else 0, "receipt": one.receipt}
            for one in outcomes
        ]  # fmt: skip
        say_json({"nodes": rows}, indent=2)
    else:
        for one in outcomes:
            say(f"{one.name}: {'complete, ' + str(one.evidence) if one.error is None else str(one.error)}")
    if code := worst(outcomes):
        raise typer.Exit(code)


def _dry_run(common: Common, runs: Sequence[Acquisition]) -> None:
    from dataclasses import asdict

    documents = []
    refused = False
    for run in runs:
        try:
            preflight = run.preflight()
        finally:
            run.transport.close()
        refused = refused or any(check.level == "fail" for check in preflight.checks)
        documents.append({"evidence": str(run.evidence), "checks": [asdict(check) for check in preflight.checks],
                          "plan": asdict(preflight.plan)})  # fmt: skip
        if not common.as_json:
            show_plan(preflight.plan, preflight.checks)
    if common.as_json:
        say_json(documents[0] if len(documents) == 1 else documents, indent=2)
    if refused:
        raise typer.Exit(EXIT_REMOTE)


def show_plan(plan: Plan, checks: Sequence[Any]) -> None:
    """The plan for people."""
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
