# SPDX-License-Identifier: Apache-2.0
"""Markdown: findings as a text to paste into a ticket. Everything from the image is escaped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from memir.findings.detect import able, unable
from memir.findings.finding import SEVERITIES
from memir.findings.look import where
from memir.report.cells import moment, time_words
from memir.report.registry import CaseTables, Format, Options, findings_of
from memir.text import safe

_ACTIVE = re.compile(r"([\\`*{}\[\]<>#!|~&$@]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|://|www\.)")
"""What means something in the middle of a line. Round brackets do behind square ones alone; `_` within a word and a `+`
that begins no line mean nothing."""
_TITLED = 160
"""Characters of a title in the list at the head; the finding's own part has all of it."""


def parts(case: CaseTables, options: Options) -> Iterator[bytes]:
    """The file, line by line, UTF-8."""
    rows = findings_of(case, options)
    for line in _lines(case, rows, options):
        yield f"{line}\n".encode("utf-8", "backslashreplace")


def _lines(case: CaseTables, rows: list[dict[str, Any]], options: Options) -> Iterator[str]:
    node = getattr(case.record, "node", None)
    yield f"# Memory of node {escaped(node or 'name not known')}"
    yield ""
    yield from _facts(case.record)
    yield ""
    counts = Counter(row["severity"] for row in rows)
    words = [f"{counts[severity]} {severity}" for severity in reversed(SEVERITIES) if counts[severity]]
    only = f" of severity {options.severity} and above" if options.severity else ""
    yield f"## Findings{only}: {', '.join(words) or 'none'}"
    yield ""
    if rows:
        yield "| severity | where | since (UTC) | what |"
        yield "|---|---|---|---|"
        for row in rows:
            since = moment(row["first_seen"].replace(microsecond=0)) if row["first_seen"] else "not known"
            title, place = _plain(safe(row["title"], _TITLED)), _plain(safe(where(row)))
            yield f"| {row['severity']} | {place} | {since} | {title} |"
        yield ""
    for row in rows:
        yield from _finding(row)
    yield from _unseen(case, rows, options)


def _facts(record: Any) -> Iterator[str]:
    if record is None:
        return
    evidence, kernel, identity = record.evidence, record.kernel, record.identity
    if evidence is not None:
        yield f"- evidence: {code(evidence.image)} ({evidence.format})"
        if evidence.sha256:
            yield f"- SHA-256: {code(evidence.sha256)}"
        if evidence.ram_share is not None and evidence.ram_share < 1:
            yield f"- **only {evidence.ram_share:.1%} of the node's RAM is in it**: absence proves nothing"
    clock = getattr(identity, "clock_utc", None)
    if clock:
        yield f"- taken: {escaped(time_words(str(clock)))} by the image's own clock"
    if kernel is not None:
        yield f"- kernel: {escaped(kernel.release)} {escaped(kernel.arch)}"
    yield f"- memir {record.memir}, case written {record.written}"


def _finding(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {row['severity']}: {escaped(row['title'])}"
    yield ""
    yield f"- id: {code(row['id'])}"
    yield f"- where: {escaped(where(row))}" + (f", pid {row['pid']}" if row["pid"] is not None else "")
    yield f"- since: {moment(row['first_seen']) + ' UTC' if row['first_seen'] else 'not known'}"
    yield f"- severity: {row['severity']}: {escaped(row['reason'])}"
    v19 = f", {row['technique_v19']} since v19" if row["technique_v19"] != row["technique"] else ""
    attack = f"{row['technique']} {row['technique_name']} ({', '.join(row['tactics'])}{v19})"
    yield f"- ATT&CK v{row['attack_version']}: {attack}"
    yield f"- why: {escaped(row['why'])}"
    for name, column in (
        ("next", "check_next"), ("harmless if", "benign"), ("may be missed", "missed"), ("known as", "also_known"),
    ):  # fmt: skip
        yield from _list(name, row[column])
    for proof in row["evidence"]:
        yield f"- proof: {code('select * from ' + proof['table'] + ' where ' + proof['key'])}"
    yield ""


def _list(name: str, values: Iterable[str] | None) -> Iterator[str]:
    for value in values or ():
        yield f"- {name}: {escaped(value)}"


def _unseen(case: CaseTables, rows: list[dict[str, Any]], options: Options) -> Iterator[str]:
    kinds = {row["kind"] for row in rows}
    absent = [detection.kind for detection in able(case.tables) if detection.kind not in kinds]
    evidence = getattr(case.record, "evidence", None)
    whole = evidence is None or evidence.ram_share is None or evidence.ram_share >= 1
    if absent and options.severity is None:
        yield "## Looked for and not there" if whole else "## Looked for and not in the part of RAM that is there"
        yield ""
        yield ", ".join(absent)
        yield ""
    yield "## Not looked at"
    yield ""
    lines = [f"- {kind}: the case has no table {' and '.join(names)}" for kind, names in unable(case.tables).items()]
    for gap in getattr(case.record, "gaps", ()):
        lines.append(f"- {gap.count} of {escaped(gap.kind)}: {escaped(gap.why)}, e.g. {escaped(gap.where)}")
    yield from lines or ["Everything that was looked for could be read."]


def escaped(text: str) -> str:
    """Text for the middle of a line, shown letter by letter: no markup, no HTML, no link; `x` stays a code span."""
    parts = re.split(r"`([^`]+)`", safe(text))
    return "".join(code(part) if number % 2 else _plain(part) for number, part in enumerate(parts))


def _plain(text: str) -> str:
    return _ACTIVE.sub(lambda match: "".join(f"&#{ord(char)};" for char in match.group()), text)


def code(text: str) -> str:
    """Text as a code span, whose fence is longer than any row of backquotes in it."""
    clean = safe(text)
    longest = max((len(run) for run in re.findall(r"`+", clean)), default=0)
    fence = "`" * (longest + 1)
    space = " " if clean.startswith("`") or clean.endswith("`") else ""
    return f"{fence}{space}{clean}{space}{fence}"


FORMAT = Format("md", "Markdown, for a ticket", parts)
