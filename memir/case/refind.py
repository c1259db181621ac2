# SPDX-License-Identifier: Apache-2.0
"""Findings made again from a case's own tables, when a later run has added to them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from memir.case import store
from memir.case.case import Case
from memir.case.record import CaseRecord
from memir.findings.detect import detect
from memir.findings.look import ImageFacts
from memir.findings.registry import detections
from memir.tables.frame import Frame

if TYPE_CHECKING:
    import pyarrow as pa


def image_facts(record: CaseRecord | None) -> ImageFacts:
    """What a case knows of its image, as detections ask for it."""
    if record is None:
        return ImageFacts()
    clock = record.identity.clock_utc if record.identity is not None else None
    smear = record.evidence.smear if record.evidence is not None else None
    return ImageFacts(
        record.gaps,
        record.node,
        None if clock is None else datetime.fromisoformat(clock[:26] + clock[29:] if len(clock) > 29 else clock),
        None if smear is None else smear.seconds,
        "" if smear is None else smear.text,
    )


def findings_with(case: Case, added: Mapping[str, pa.Table], run: str) -> Frame | None:
    """The table findings of an analysed case with rows that a run is about to write; None: nobody has analysed it.

    added: tables with a column `run`; rows of other runs in the case stay, those of this one are replaced.
    """
    if "findings" not in case.tables:
        return None
    wanted = {name for each in detections().values() for name in (*each.tables, *each.more)}
    tables = {name: case[name] for name in case.tables if name in wanted}
    for name, table in added.items():
        fresh = store.of_run(table, run)
        tables[name] = store.keep_other_runs(tables[name], fresh, run) if name in tables else fresh
    return detect(tables, image_facts(case.record))
