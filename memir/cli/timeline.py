# SPDX-License-Identifier: Apache-2.0
"""`memir timeline CASE...`: what happened when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memir.cli.common import BucketOwnerOption, JsonOption, LogsOption, print_json, print_rows
from memir.errors import UsageError
from memir.text import say, say_all

if TYPE_CHECKING:
    from memir.gaps import Gap

_CUT = 32_766
"""Bytes of a string that Timesketch's OpenSearch can filter by."""


class Format(StrEnum):
    """How events are printed."""

    table = "table"
    jsonl = "jsonl"
    csv = "csv"
    timesketch = "timesketch"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("timeline")(timeline)


def timeline(
    cases: Annotated[
        list[str], typer.Argument(metavar="CASE...", help="Case folders, as `memir analyze -o` writes them.")
    ],
    pod: Annotated[str | None, typer.Option("--pod", help="Of this pod: NAME, NAMESPACE/NAME or UID.")] = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="From this time on (ISO 8601).")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Before this time.")] = None,
    kind: Annotated[list[str] | None, typer.Option("--kind", help="This kind of event; may be repeated.")] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="table, jsonl, csv, or timesketch: JSON lines that Timesketch takes.")
    ] = Format.table,
    logs: LogsOption = None,
    bucket_owner: BucketOwnerOption = None,  # noqa: ARG001  (acts by itself)
    json: JsonOption = False,
) -> None:
    """Print the events of cases in the order of time, each with its pod and the row that it comes from.

    Times are UTC, by each image's own clock, of logs by theirs. With --logs from logs, too; the case stays as it is.
    Exit 0: done.
    """
    import memir
    from memir.case.logs import clocks, read_logs, tables_of
    from memir.case.timeline import COLUMNS, NOTES
    from memir.case.timeline import timeline as events_of

    sources = {case: read_logs(memir.Case(case), logs) for case in cases} if logs else {}
    limits = {"begin": _time("--from", begin), "end": _time("--to", end)}
    rows = [
        (*row, case)
        for case in cases
        for row in events_of(
            case, pod=pod, kinds=tuple(kind or ()), logs=tables_of(sources[case]) if case in sources else None, **limits
        ).rows
    ]
    if len(cases) > 1:
        rows.sort(key=lambda row: row[0])  # stable: events of one instant stay as they are in their case
    columns = (*COLUMNS, "case")
    if json:
        from memir.case.export import json_rows

        print_json({"columns": columns, "rows": list(json_rows(columns, rows))})
    elif format_ is Format.timesketch:
        for event in _timesketch(columns, rows):
            print_json(event)
    elif format_ is not Format.table:
        print_rows(columns, rows, csv=format_ is Format.csv, jsonl=format_ is Format.jsonl)
    else:
        say_all(_lines(rows, several=len(cases) > 1))
        kinds = {row[1] for row in rows}
        say_all(f"{name}: {words}" for name, words in NOTES.items() if name in kinds)
        _say_missing(cases, len(rows))
        for case, source in sources.items():
            _say_logs(case, source.tables, source.gaps, clocks(source))


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{option} {text!r} is no time: write it as 2026-11-23T22:27:43, UTC if no zone is given"
        ) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


_ELSEWHERE = {
    "audit": "the API", "audit-read": "the API", "session": "the API", "session-end": "the API", "iam-login": "the API",
    "cloudtrail": "AWS", "guardduty": "AWS", "flow": "AWS",
}  # fmt: skip
"""Who wrote down what is about no pod, where that is not the node."""


def _lines(rows: Iterable[Sequence[Any]], *, several: bool) -> Iterator[str]:
    for time, kind, text, namespace, pod, container, _source, _key, case in rows:
        place = "/".join(part for part in (namespace, pod, container) if part) or _ELSEWHERE.get(kind, "the node")
        where = f"{case}: {place}" if several else place
        yield f"{time.strftime('%Y-%m-%d %H:%M:%S.%f')[:-3]}  {kind:15}  {where}: {text}"


def _say_missing(cases: Sequence[str], events: int) -> None:
    from memir.case.timeline import missing

    say("", f"{events} event{'' if events == 1 else 's'}, UTC by the image's own clock")
    for case in cases:
        for table, kinds in missing(case).items():
            say(f"Not in {case}: {', '.join(kinds)}, as it has no table {table}")


def _say_logs(case: str, tables: Sequence[str], gaps: Iterable[Gap], clock: str | None) -> None:
    if "audit" in tables:
        say("Reads of the API are left out: --kind audit-read lists them")
    say(f"Clocks of {case}: {clock or 'the log and the node could not be compared'}")
    for gap in gaps:
        say(f"Not read: {gap.count:,} {gap.why}, e.g. {gap.where}")


def _timesketch(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[Mapping[str, Any]]:
    """Timesketch's message, datetime, timestamp_desc, its timestamp in microseconds, and the other columns."""
    from memir.case.timeline import WORDS

    for row in rows:
        event = dict(zip(columns, row, strict=True))
        time = event.pop("time")
        text = str(event.pop("text")).encode()[:_CUT].decode("utf-8", "ignore")
        yield {
            "message": text,
            "datetime": time.isoformat(),
            "timestamp": int(time.timestamp()) * 1_000_000 + time.microsecond,
            "timestamp_desc": WORDS[event["kind"]],
            "data_type": f"memir:{event['source']}",
            **{name: value for name, value in event.items() if value is not None},
        }
