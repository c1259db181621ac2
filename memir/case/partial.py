# SPDX-License-Identifier: Apache-2.0
"""What an answer over a case cannot have in it, in words: the share of the RAM that the image holds, and the gaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from memir.gaps import Gap

if TYPE_CHECKING:
    import pyarrow as pa

    from memir.case.record import CaseRecord

_MOST = 4
"""Gaps, and images, that are named; of the rest it is said how many there are."""


def partial(record: CaseRecord | None) -> str | None:
    """What of the RAM the case's images lack, in a sentence; None where they are whole, or nothing is known of it.

    Said with every answer: whatever lay in the rest is not in the tables, so that no row proves nothing.
    """
    if record is None:
        return None
    evidence = record.evidence
    if evidence is not None and evidence.ram_share is not None and evidence.ram_share < 1:
        missing = (evidence.ram_total or 0) - (evidence.ram_present or 0)
        return (
            f"the image holds {percent(evidence.ram_share)} of the RAM ({missing:,} bytes are missing): "
            "what lay in the rest is in no answer, and that something is absent proves nothing"
        )
    last = {image.image: image for run in record.runs if run.hunt is not None for image in run.hunt.images}
    lacking = [
        f"{name} {'could not be read' if image.error is not None else percent(image.ram_share or 0)}"
        for name, image in last.items()
        if image.error is not None or (image.ram_share is not None and image.ram_share < 1)
    ]
    if not lacking:
        return None
    return (
        f"{len(lacking)} of {len(last)} images do not hold all of their node's RAM ({_few(lacking, ', ')}): "
        "what lay in the rest is in no answer, and that something is absent proves nothing"
    )


def percent(share: float) -> str:
    """A share as a percentage; never 100.0 % for what is not whole."""
    return f"{min(share * 100, 99.9) if share < 1 else 100:.1f} %"


def gap_words(gaps: Iterable[Gap | Mapping[str, Any]]) -> str:
    """`12 of args: page not in image; ...`, each kind with its own count: bytes, pages and rows do not add up.

    The empty string where there is no gap.
    """
    rows = [gap if isinstance(gap, Mapping) else {"kind": gap.kind, "why": gap.why, "count": gap.count} for gap in gaps]
    rows.sort(key=lambda gap: gap["kind"] != "RAM")  # of all the others' doing: first
    return _few([f"{gap['count']:,} of {gap['kind']} ({gap['why']})" for gap in rows], "; ")


def gap_table(record: CaseRecord | None) -> pa.Table:
    """The gaps of all runs as the table `gaps`: kind, count, why, example (of the place)."""
    import pyarrow as pa

    gaps = record.gaps if record is not None else ()
    meaning = {
        "kind": "what was being read", "count": "how many, in the unit that `why` names, else of these things",
        "why": "why it was not read", "example": "one place of them",
    }  # fmt: skip
    fields = [
        pa.field(name, pa.int64() if name == "count" else pa.string(), metadata={"doc": words})
        for name, words in meaning.items()
    ]
    rows = [{"kind": gap.kind, "count": gap.count, "why": gap.why, "example": gap.where} for gap in gaps]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def _few(words: list[str], between: str) -> str:
    more = f"{between}and {len(words) - _MOST} more" if len(words) > _MOST else ""
    return between.join(words[:_MOST]) + more
