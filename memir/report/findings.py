# SPDX-License-Identifier: Apache-2.0
"""Findings as a person reads them at night: what, where, since when, why it matters, what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from memir.findings.detect import able, unable, unasked
from memir.findings.finding import SEVERITIES, Detection
from memir.report.cells import moment

Row = Mapping[str, Any]
_SHORT = ("info", "low")
"""Severities of which the title is enough in a summary."""
ALERT = "guardduty-claims"
"""What the analysis was called for, where the alert is among the logs: it is told before all else."""
_MOST = 12
"""Findings of one kind and severity in a summary; the rest is counted, and in the table."""


def finding_lines(rows: Sequence[Row], tables: Collection[str], *, whole: bool = True) -> Iterator[str]:
    """What stands out, the worst first; then what was looked for and is not there, and what could not be looked for.

    rows: of the table findings, in its order. tables: names of the tables that were looked at. whole: all RAM is there;
    if it is not, what was not seen is counted and not called absent.
    """
    yield _head(rows)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["severity"], row["kind"]), []).append(row)
    for (severity, kind), members in sorted(groups.items(), key=lambda group: group[0][1] != ALERT):
        if kind == ALERT and severity not in _SHORT:
            yield "  The alert, by what memory has seen of it:"
        yield from _brief(members) if severity in _SHORT else _group(members)
    kinds = {row["kind"] for row in rows}
    clean = [detection.kind for detection in able(tables) if detection.kind not in kinds]
    if clean and not whole:
        yield f"Of {len(clean)} other kinds nothing is in the RAM that is there, which proves nothing of the rest"
    elif clean:
        yield f"Looked for and not there: {', '.join(clean)}"
    for option, others in unasked(tables).items():
        yield f"With {option} also: {', '.join(others)}"
    missing = unable(tables)
    if len(missing) > _MOST:
        absent = dict.fromkeys(name for names in missing.values() for name in names)
        yield f"Not looked for: {', '.join(missing)}: of their tables {', '.join(absent)} were not read"
        return
    for kind, names in missing.items():
        words = f"table {names[0]} was" if len(names) == 1 else f"tables {' and '.join(names)} were"
        yield f"Not looked for: {kind}, the {words} not read"


def _head(rows: Sequence[Row]) -> str:
    counts = Counter(row["severity"] for row in rows)
    words = [f"{counts[severity]} {severity}" for severity in reversed(SEVERITIES) if counts[severity]]
    return f"Findings: {', '.join(words)}" if words else "Findings: none of those memir looks for"


def _group(rows: Sequence[Row]) -> Iterator[str]:
    first = rows[0]
    yield f"  {first['severity'].upper()}  {first['kind']} ({first['technique']} {first['technique_name']})"
    for row in rows[:_MOST]:
        yield f"    {_since(row)}  {row['title']}"
    if len(rows) > _MOST:
        yield f"    ... and {len(rows) - _MOST} more"
    yield f"    why:  {first['why']}"
    yield f"    next: {first['check_next'][0]}"


def _brief(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows[:_MOST]:
        yield f"  {row['severity']}  {row['kind']}: {row['title']}"
    if len(rows) > _MOST:
        yield f"  {rows[0]['severity']}  {rows[0]['kind']}: ... and {len(rows) - _MOST} more"


def _since(row: Row) -> str:
    return moment(row["first_seen"].replace(microsecond=0)) if row["first_seen"] else "time not known     "


def whole_lines(rows: Iterable[Row]) -> Iterator[str]:
    """Every finding with all that it says, a block each."""
    for row in rows:
        yield f"{row['severity'].upper()}  {row['title']}"
        yield f"  id         {row['id']}"
        yield f"  since      {_since(row).strip()}"
        yield f"  severity   {row['severity']}: {row['reason']}"
        v19 = f", {row['technique_v19']} since v19" if row["technique_v19"] != row["technique"] else ""
        attack = f"{row['technique']} {row['technique_name']} ({', '.join(row['tactics'])})"
        yield f"  ATT&CK     {attack}, v{row['attack_version']}{v19}"
        yield f"  why        {row['why']}"
        yield from _list("next", row["check_next"])
        yield from _list("harmless", row["benign"])
        yield from _list("missed", row["missed"])
        yield from _list("known as", row["also_known"])
        for proof in row["evidence"]:
            yield f"  proof      select * from {proof['table']} where {proof['key']}"
        yield ""


def _list(name: str, values: Iterable[str]) -> Iterator[str]:
    for number, value in enumerate(values):
        yield f"  {'' if number else name:<9}  {value}"


def explain_lines(detection: Detection, technique: str) -> Iterator[str]:
    """How a kind of finding is decided. technique: its id and name."""
    yield f"{detection.kind}: {detection.title}"
    yield f"  how        {detection.how}"
    yield f"  ATT&CK     {technique}"
    yield f"  why        {detection.why}"
    yield from _list("next", detection.check_next)
    yield from _list("harmless", detection.benign)
    yield from _list("missed", detection.missed)
    yield from _list("known as", detection.also_known)
    more = f"; where they are there also {', '.join(detection.more)}" if detection.more else ""
    yield f"  tables     {', '.join(detection.tables)}{more}"
