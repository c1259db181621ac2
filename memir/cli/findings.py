# SPDX-License-Identifier: Apache-2.0
"""`memir findings CASE...`: what the tables of cases say together."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memir.cli.common import (
    BucketOwnerOption,
    FailOnOption,
    IocOption,
    JsonOption,
    LogsOption,
    SeverityOption,
    exit_code_of_findings,
    print_json,
)
from memir.errors import CaseError, UsageError
from memir.text import say, say_all

if TYPE_CHECKING:
    from memir.case.across import Across
    from memir.logs.source import LogSource


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("findings")(findings)


def findings(
    cases: Annotated[
        list[str] | None, typer.Argument(metavar="CASE...", help="Case folders, as `memir analyze -o` writes them.")
    ] = None,
    severity: SeverityOption = None,
    pod: Annotated[
        str | None, typer.Option("--pod", help="Only findings of this pod: NAME, NAMESPACE/NAME or UID.")
    ] = None,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="KIND", help="How a kind is decided; needs no case.")
    ] = None,
    ioc: IocOption = None,
    logs: LogsOption = None,
    bucket_owner: BucketOwnerOption = None,  # noqa: ARG001  (acts by itself)
    fail_on: FailOnOption = None,
    json: JsonOption = False,
) -> None:
    """Print the findings of cases, the worst first, each with its proof and its doubt.

    Of several nodes also what they share: connections seen from both ends, the same token, key, program, file or
    indicator. With --logs over the logs, too; the case stays as it is.

    Exit 0: done. 1: with --fail-on, findings of that severity or above.
    """
    if explain is not None:
        _explain(explain, json)
        return
    if not cases:
        raise UsageError("which case? `memir findings CASE`; `memir findings --explain KIND` needs none")
    import memir
    from memir.case.logs import read_logs

    sources = {case: read_logs(memir.Case(case), logs) for case in cases} if logs else {}
    rows = {case: _of_pod(case, _rows(case, severity, ioc, sources.get(case)), pod) for case in cases}
    shared = _across(list(rows)) if len(rows) > 1 else None
    if json:
        document: dict[str, Any] = {"cases": {case: {"findings": every} for case, every in rows.items()}}
        print_json(document | ({"across": asdict(shared)} if shared is not None else {}))
    else:
        _print(rows, sources)
        if shared is not None:
            from memir.report.across import across_lines

            say_all(across_lines(shared.connections, shared.shared, shared.lacking))
    code = exit_code_of_findings((row["severity"] for every in rows.values() for row in every), fail_on)
    if code:
        raise typer.Exit(code)


def _across(cases: list[str]) -> Across:
    import memir
    from memir.case.across import across

    return across([memir.Case(case) for case in cases])


def _rows(case: str, severity: str | None, ioc: Path | None, logs: LogSource | None) -> list[dict[str, Any]]:
    import memir
    from memir.case.logs import findings_with
    from memir.findings.finding import SEVERITIES, at_least

    opened = memir.Case(case)
    if "findings" not in opened.tables:
        raise CaseError(
            f"{case} has no findings: an earlier memir wrote it, or a hunt alone; "
            f"`memir analyze IMAGE -o {case} --force` makes them"
        )
    rows = (opened["findings"] if logs is None else findings_with(opened, logs).to_arrow()).to_pylist()
    if ioc is not None:
        from memir.case.indicated import KIND, indicated

        rows = [*indicated(opened, ioc), *(row for row in rows if row["kind"] != KIND)]
        rows.sort(key=lambda row: -SEVERITIES.index(row["severity"]))
    return [row for row in rows if severity is None or at_least(row["severity"], severity)]


def _of_pod(case: str, rows: list[dict[str, Any]], pod: str | None) -> list[dict[str, Any]]:
    """Those of a pod, by NAME, NAMESPACE/NAME or UID. UsageError if the case has no such pod."""
    if pod is None:
        return rows
    import memir
    from memir.case.timeline import check_pod

    opened = memir.Case(case)
    if "pods" in opened.tables:
        check_pod({"pods": opened["pods"]}, pod)
    namespace, _, name = pod.rpartition("/")
    return [
        row for row in rows
        if name in (row["pod_name"], row["pod_uid"]) and namespace in ("", row["namespace"])
    ]  # fmt: skip


def _print(rows: dict[str, list[dict[str, Any]]], sources: dict[str, LogSource]) -> None:
    import memir
    from memir.findings.detect import unable, unasked
    from memir.report.findings import whole_lines

    for case, every in rows.items():
        say(f"{case}: {len(every)} finding{'' if len(every) == 1 else 's'}", "")
        say_all(whole_lines(every))
        there = (*memir.Case(case).tables, *(sources[case].tables if case in sources else ()))
        for option, kinds in unasked(there).items():
            say(f"With {option} also: {', '.join(kinds)}")
        for kind, names in unable(there).items():
            say(f"Not looked for: {kind}, the case has no table {' and '.join(names)}")
        for gap in sources[case].gaps if case in sources else ():
            say(f"Not read: {gap.count:,} {gap.why}, e.g. {gap.where}")


def _explain(kind: str, json: bool) -> None:
    from memir.findings.attack import technique
    from memir.findings.registry import detections
    from memir.report.findings import explain_lines

    known = detections()
    if kind not in known:
        raise UsageError(f"there is no kind {kind!r}; there are {', '.join(known)}")
    detection = known[kind]
    if json:
        names = (
            "kind",
            "title",
            "how",
            "technique",
            "tables",
            "more",
            "why",
            "check_next",
            "benign",
            "missed",
            "also_known",
        )
        print_json({name: getattr(detection, name) for name in names})
    else:
        say_all(explain_lines(detection, f"{detection.technique} {technique(detection.technique).name}"))
