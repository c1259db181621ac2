# SPDX-License-Identifier: Apache-2.0
"""A case as one HTML file that opens from disk, needs no network, and runs under a strict content security policy.

The page's program and style are bundled at build time (memir/report/web). What comes from the image lies in inert
elements: JSON without `<`, and Parquet in base64. So no name of an image can end an element or be run.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir import __version__
from memir.case.diff import diff
from memir.case.export import json_value
from memir.errors import CaseError
from memir.findings.detect import able, unable
from memir.findings.finding import at_least
from memir.kernel.ram import Coverage
from memir.report.html.custody import custody
from memir.report.html.differences import DOC as DIFFERENCES_DOC
from memir.report.html.differences import NAME as DIFFERENCES
from memir.report.html.differences import differences_head, differences_table
from memir.report.html.methods import methods
from memir.report.html.notes import checked
from memir.report.html.redact import Pseudonyms
from memir.report.html.story import story
from memir.report.html.tables import TIMELINE, completed, events, page_table, proofs
from memir.report.kernel import kernel_line
from memir.report.summary import clock_words
from memir.tables.table import tables as known_tables

if TYPE_CHECKING:
    import pyarrow as pa

    from memir.report.registry import CaseTables

BUNDLE = Path(__file__).resolve().parents[1] / "web" / "bundle"
_STORY = ("pods", "containers", "sockets", "secrets", "modules", "bpf", "hooks")
"""Tables whose rows the story and the kernel's line are made of."""
PREVIEWS = "previews"
_OTHER_NAMES = ("pods", "containers", "api_pods", "pod_ips", "sockets", "mounts")
"""Tables of a case that is compared with whose names a redacted page must not have."""
_SAFE = (1 << 53) - 1
"""Number.MAX_SAFE_INTEGER."""
_LISTS = ("tactics", "check_next", "benign", "missed", "also_known")
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div id="app"><noscript>This report needs JavaScript, which it carries in itself: nothing is loaded.
The case's tables are read without it by `memir query`.</noscript></div>
<script type="application/json" id="head">{head}</script>
"""


def html_parts(
    case: CaseTables,
    *,
    severity: str | None = None,
    notes: Mapping[str, Any] | None = None,
    redact: bool = False,
    previews: pa.Table | None = None,
    other: CaseTables | None = None,
) -> Iterator[bytes]:
    """The file's bytes, part after part.

    severity: only findings of this one and above. notes: as read_notes gives them. redact: pseudonyms in the place of
    names and addresses. previews: content of files, as memir.extract.previews gives it. other: a case to compare with,
    the older or the good one. CaseError for a case without a record, or if the notes are another case's.
    """
    if case.record is None:
        raise CaseError(f"{case.folder}: no analysis has ended in it: `memir analyze IMAGE -o {case.folder}`")
    tables = {name: completed(name, case[name]) for name in case.tables}
    if severity is not None and "findings" in tables:
        wanted = [at_least(str(word), severity) for word in tables["findings"]["severity"].to_pylist()]
        tables["findings"] = tables["findings"].filter(wanted)
    head = head_of(case, tables, notes)
    shown = {**tables, TIMELINE: events(tables)}
    if previews is not None:
        shown[PREVIEWS] = previews
    if other is not None:
        compared = diff(other.folder, case.folder)
        head["diff"] = differences_head(compared, "another case" if redact else other.folder.resolve().name)
        shown[DIFFERENCES] = differences_table(compared)
    if redact:
        pseudonyms = Pseudonyms(_named(tables, shown, other), head["record"])
        head = pseudonyms.head(head)
        shown = {name: pseudonyms.table(name, table) for name, table in shown.items()}
    yield from page_parts(head, shown)


def _named(
    tables: Mapping[str, pa.Table], shown: Mapping[str, pa.Table], other: CaseTables | None
) -> dict[str, pa.Table]:
    """Tables whose names are left out of a redacted page: the case's, and those of the case beside it."""
    named = dict(tables)
    if other is not None:
        named[DIFFERENCES] = shown[DIFFERENCES]
        named |= {f"{name} of the other": completed(name, other[name]) for name in _OTHER_NAMES if name in other.tables}
    return named


def head_of(case: CaseTables, tables: Mapping[str, pa.Table], notes: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the page shows before it decodes a table: the story, findings, gaps, custody, methods."""
    record = case.record.to_json()
    findings = tables["findings"].to_pylist() if "findings" in tables else []
    rows = {name: tables[name].to_pylist() for name in _STORY if name in tables}
    coverage = _coverage(record["evidence"])
    kinds = {row["kind"] for row in findings}
    gaps = record["gaps"]
    clock = (record["identity"] or {}).get("clock_utc")
    sealed = custody(case.folder)
    head: dict[str, Any] = {
        "memir": __version__,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "node": record["node"],
        "clock": clock_words(clock),
        "coverage": coverage.text() if coverage else "How much of the node's RAM the image holds is not known",
        "whole": coverage is not None and coverage.whole,
        "kernel": kernel_line({**rows, "findings": findings}, gaps),
        "clean": [
            {"kind": each.kind, "title": each.title, "how": each.how} for each in able(tables) if each.kind not in kinds
        ],
        "unable": [{"kind": kind, "tables": names} for kind, names in unable(tables).items()],
        "gaps": gaps,
        "record": {name: value for name, value in record.items() if name not in ("gaps", "runs", "oddities")},
        "custody": sealed,
        "methods": methods(record, tables),
        "notes": checked(notes, sealed["head"]) if notes else [],
        "diff": None,
        "redacted": False,
    }
    head["story"] = [asdict(chapter) for chapter in story(findings, rows, head)]
    proved = proofs(findings, tables)
    head["findings"] = [
        {**row, **{name: row[name] or [] for name in _LISTS}, "evidence": proof}
        for row, proof in zip(findings, proved, strict=True)
    ]
    return head


def page_parts(head: dict[str, Any], tables: Mapping[str, pa.Table]) -> Iterator[bytes]:
    """The page of a head and tables, the timeline among them."""
    style, script = (BUNDLE / "report.css").read_text(), (BUNDLE / "report.js").read_text()
    meanings = {name: table.doc for name, table in known_tables().items()}
    meanings[DIFFERENCES] = DIFFERENCES_DOC
    meanings[PREVIEWS] = "The first page in RAM of files that containers changed, read when this report was made"
    meanings[TIMELINE] = "What happened when, by every table that has times, each event with the row that it comes from"
    pages = [page_table(name, table, meanings.get(name)) for name, table in tables.items()]
    licenses = json.loads((BUNDLE / "licenses.json").read_text())
    head = {**head, "tables": [page.head for page in pages], "licenses": licenses}
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    yield _PAGE.format(policy=policy, title="memir report", style=style, head=_inert(head)).encode()
    for page in pages:
        name = html.escape(f"table-{page.head['name']}")
        yield f'<script type="application/vnd.apache.parquet" id="{name}">'.encode()
        yield page.data
        yield b"</script>\n"
    yield f"<script>{script}</script>\n</body>\n</html>\n".encode()


def _inert(document: Any) -> str:
    """JSON in ASCII that cannot end the element that it lies in."""
    text = json.dumps(_exact(json_value(document)), allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _exact(value: Any) -> Any:
    """Integers that JavaScript's numbers cannot hold as text: addresses of the kernel, in hex."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE:
        return f"{value:#x}"
    if isinstance(value, dict):
        return {name: _exact(inner) for name, inner in value.items()}
    return [_exact(inner) for inner in value] if isinstance(value, list) else value


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _coverage(evidence: Mapping[str, Any] | None) -> Any:
    if evidence is None or evidence["ram_total"] is None:
        return None
    return Coverage(evidence["ram_total"], evidence["ram_present"], (), evidence["ram_account"], {})
