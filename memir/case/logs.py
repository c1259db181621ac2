# SPDX-License-Identifier: Apache-2.0
"""Logs joined with the tables of a case that was written before; the case itself stays as it is."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from memir.case.case import Case
from memir.errors import CaseError
from memir.findings.detect import detect
from memir.findings.look import ImageFacts
from memir.kube.secrets import Secrets
from memir.logs.source import LogSource
from memir.logs.stream import LogPath

if TYPE_CHECKING:
    import pyarrow as pa

    from memir.tables.frame import Frame

FINDINGS = "findings"


def read_logs(
    case: Case, paths: Sequence[LogPath], progress: Callable[[str, int, int], None] | None = None
) -> LogSource:
    """The logs as a source of tables, whose rows find their pods in the case. LogsError if one is not there."""

    def ram(name: str) -> pa.Table | None:
        return case[name] if name in case.tables else None

    def clock() -> int | None:
        return case.record.identity.clock if case.record is not None and case.record.identity is not None else None

    return LogSource(paths, ram, secrets=lambda: Secrets(case.secret_key()), progress=progress, clock=clock)


def tables_of(source: LogSource) -> dict[str, Any]:
    """Every table of the logs, as Arrow, by name."""
    return {name: source.table(name) for name in source.tables}


def findings_with(case: Case, source: LogSource) -> Frame:
    """The findings over the case's tables and those of the logs, the worst first. CaseError for another version's."""
    import duckdb

    known = {name: case[name] for name in case.tables if name != FINDINGS}
    try:
        return detect(known | tables_of(source), image_facts(case, source))
    except (duckdb.BinderException, KeyError) as error:
        place = shlex.quote(str(case.folder))
        raise CaseError(
            f"{case.folder}: its tables are of another version of memir ({str(error).splitlines()[0]}): "
            f"`memir analyze IMAGE -o {place} --force` makes them anew"
        ) from error


def image_facts(case: Case, source: LogSource | None = None) -> ImageFacts:
    """What the case's record knows of its image: node, clock, smear, and the gaps of the analysis and of the logs."""
    from memir.kernel.timekeeping import utc

    record = case.record
    if record is None:
        return ImageFacts()
    gaps = [gap for run in record.runs if run.hunt is None for gap in run.gaps]
    smear = record.evidence.smear if record.evidence is not None else None
    clock = record.identity.clock if record.identity is not None else None
    return ImageFacts(
        (*gaps, *(source.gaps if source is not None else ())),
        record.node,
        None if clock is None else utc(clock),
        smear.seconds if smear is not None else None,
        smear.text if smear is not None else "",
    )


def clocks(source: LogSource) -> str | None:
    """How far the node's clock is from the API server's, in words; None where no session can say it."""
    if "sessions" not in source.tables:
        return None
    rows = source.table("sessions").slice(0, 1).to_pylist()
    if not rows or not rows[0]["clock_said_by"]:
        return None
    ahead, count = rows[0]["clock_offset"], rows[0]["clock_said_by"]
    by = f"by {count} session{'' if count == 1 else 's'} whose process is still there"
    if not ahead:
        return f"the API server's clock and the node's are less than 5 s apart, {by}"
    return f"the node's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the API server's, {by}"
