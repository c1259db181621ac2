# SPDX-License-Identifier: Apache-2.0
"""case.json as typed records: what a case says of itself. Schema version 2; version 1 is that of memir 0.1.0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal

from memir import __version__
from memir.case.identity import Identity
from memir.documents import encode
from memir.gaps import Gap

SCHEMA: Final = 2
CASE_FILE = "case.json"


@dataclass(frozen=True, slots=True)
class Range:
    """A range of physical memory that the image holds, in bytes."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class SmearRecord:
    """RAM that is read while its machine runs is of many moments.

    seconds: at least between the first and the last clock in the image that were read; null is not known. torn_lists:
    lists of the kernel's whose walk could not be ended. contradictions: of how many processes witnesses say
    differently. text: all of it in words.
    """

    seconds: float | None
    torn_lists: int
    contradictions: int
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """The image file. Sizes in bytes; missing: bytes that its headers promise and the file lacks.

    ram_share, ram_total, ram_present, ram_missing: how much of the node's RAM the image holds, by ram_account. smear:
    null until an analysis has walked the kernel's lists.
    """

    image: str
    format: str
    container: str | None
    file_size: int
    ram_size: int
    missing: int
    ranges: tuple[Range, ...]
    sha256: str | None
    ram_share: float | None = None
    ram_total: int | None = None
    ram_present: int | None = None
    ram_account: str | None = None
    ram_missing: tuple[Range, ...] = ()
    smear: SmearRecord | None = None


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """The kernel in the image; addresses as integers. sources: where types, symbols and the rest came from."""

    arch: str
    release: str
    banner: str
    build_id: str | None
    kaslr_shift: int | None
    paging_levels: int
    page_table: int
    direct_map: int
    symbols: int
    sources: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OddityRecord:
    """Something that stands out, with what it is about."""

    kind: str
    text: str
    pid: int | None = None
    container_id: str | None = None
    pod_uid: str | None = None


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A file of YARA rules that a hunt used."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class RulesUsed:
    """The rules of a hunt. notes: what the user was told about them."""

    files: tuple[str, ...]
    count: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageAnswer:
    """What one image of many gave to a hunt; error: why it failed.

    ram_share, ram_total, ram_present (bytes): how much of its node's RAM the image holds, by ram_account; null of an
    image that failed. identity: which image it is.
    """

    image: str
    node: str | None
    hits: int
    rows: int
    scanned: int
    seconds: float
    error: str | None = None
    ram_share: float | None = None
    ram_total: int | None = None
    ram_present: int | None = None
    ram_account: str | None = None
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class HuntFacts:
    """A hunt: with which rules, through what, and what it gave.

    hits: physical hits; rows: one a hit and owner. units, scanned (bytes): by kind of memory. laps: seconds by step.
    """

    rules: RulesUsed
    scope: str
    kinds: tuple[str, ...]
    hits: int
    rows: int
    scanned: Mapping[str, int]
    units: Mapping[str, int] = field(default_factory=dict)
    laps: Mapping[str, float] = field(default_factory=dict)
    images: tuple[ImageAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One run of memir that wrote into the case. The same run again takes the place of its own rows and gaps.

    run: `analyze`, or a hash of the rules' sources, externals and options of a hunt. tables: rows that it wrote.
    """

    run: str
    command: str
    seconds: float
    when: str = ""
    memir: str = ""
    tables: Mapping[str, int] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    hunt: HuntFacts | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a run knows of its image, for the record. images: of a hunt through many, which has no identity of its own.

    identities: of those images that could be opened, by image.
    """

    identity: Identity | None = None
    images: tuple[str, ...] = ()
    identities: Mapping[str, Identity] = field(default_factory=dict)
    evidence: Evidence | None = None
    cluster: str | None = None
    kernel: KernelFacts | None = None
    node: str | None = None
    oddities: tuple[OddityRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """case.json.

    schema: version of this form. written: UTC. identity: of the one image that the tables are about; null for a hunt
    through many images, which are then named in `images`; identities: of those of them that could be opened. tables:
    rows by table. gaps: of all runs, each once.
    """

    schema: Literal[2]
    memir: str
    written: str
    identity: Identity | None = None
    images: tuple[str, ...] = ()
    identities: Mapping[str, Identity] = field(default_factory=dict)
    evidence: Evidence | None = None
    cluster: str | None = None
    kernel: KernelFacts | None = None
    node: str | None = None
    oddities: tuple[OddityRecord, ...] = ()
    tables: Mapping[str, int] = field(default_factory=dict)
    runs: tuple[Run, ...] = ()
    gaps: tuple[Gap, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document as JSON holds it."""
        document: dict[str, Any] = encode(self)
        return document

    def with_run(self, run: Run) -> CaseRecord:
        """The record after a run: in the place of the same run, if there was one, else behind the others."""
        runs = [run if old.run == run.run else old for old in self.runs]
        runs = runs if run in runs else [*runs, run]
        return replace(self, runs=tuple(runs), gaps=merged_gaps(old.gaps for old in runs))


def updated(record: CaseRecord | None, run: Run, facts: Facts, totals: Mapping[str, int]) -> CaseRecord:
    """The record of a case after a run: what the run knows of the image replaces what was known.

    totals: rows of the tables that the run wrote, those of other runs in them included.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    base = record or CaseRecord(SCHEMA, __version__, now)
    known = {name: getattr(facts, name) for name in Facts.__dataclass_fields__}
    known["evidence"] = _evidence(base.evidence, facts.evidence)
    known["identities"] = {**base.identities, **facts.identities}  # an image that failed now may have opened before
    base = replace(base, **{name: value for name, value in known.items() if value not in (None, ())})
    run = replace(run, when=run.when or now, memir=run.memir or __version__, gaps=merged_gaps([run.gaps]))
    return replace(base.with_run(run), memir=__version__, written=now, tables={**base.tables, **totals})


def _evidence(old: Evidence | None, new: Evidence | None) -> Evidence | None:
    """What a run knows of the image file; what it did not look for (hash, smear) stays as an earlier run found it."""
    if old is None or new is None:
        return new or old
    unknown = [entry.name for entry in fields(new) if getattr(new, entry.name) is None]
    return replace(new, **{name: getattr(old, name) for name in unknown})


def merged_gaps(runs: Iterable[Iterable[Gap]]) -> tuple[Gap, ...]:
    """Gaps of several runs, each kind and reason once, with the highest count.

    Two runs that walk the same image miss the same things: their counts must not add up.
    """
    merged: dict[tuple[str, str], Gap] = {}
    for gaps in runs:
        for gap in gaps:
            old = merged.get((gap.kind, gap.why))
            if old is None or gap.count > old.count:
                merged[(gap.kind, gap.why)] = gap
    return tuple(merged.values())
