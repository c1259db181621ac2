# SPDX-License-Identifier: Apache-2.0
"""Reading case.json, of this version or of 0.1.0, whose facts become a record of today."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from memir.case.identity import Identity
from memir.case.record import (
    CASE_FILE,
    SCHEMA,
    CaseRecord,
    Evidence,
    HuntFacts,
    ImageAnswer,
    KernelFacts,
    OddityRecord,
    RulesUsed,
    Run,
    merged_gaps,
)
from memir.documents import decode, read
from memir.errors import CaseError
from memir.gaps import Gap


def read_record(folder: Path) -> CaseRecord:
    """case.json of a case, of any version. CaseError if the folder is none, or names the field that is wrong."""
    path = folder / CASE_FILE
    if not path.exists():
        raise CaseError(f"{folder} is not a case: {_what_instead(folder)}")
    return parse_record(read(path, CaseError), str(path))


def _what_instead(folder: Path) -> str:
    """Why a path is no case, and what to give or do."""
    for above in (folder.parent, folder.parent.parent):
        if folder.exists() and (above / CASE_FILE).is_file():
            return f"it is a part of one: give {above}"
    write = "`memir analyze IMAGE -o CASE` writes a case, which is then asked"
    if not folder.exists():
        return f"there is no such folder: {write}"
    if not folder.is_dir():
        return f"it is a file. {write.replace('IMAGE', shlex.quote(str(folder)))}"
    if (folder / "manifest.jsonl").is_file():
        return f"it is evidence that was acquired. {write.replace('IMAGE', shlex.quote(str(folder)))}"
    return f"it has no {CASE_FILE}: {write}"


def parse_record(document: Any, name: str) -> CaseRecord:
    """A record from parsed JSON of version 1 or 2; CaseError names the field that is wrong."""
    if not isinstance(document, dict):
        raise CaseError(f"{name}: not a case: the document is no object")
    version = document.get("schema", 1)
    if type(version) is int and version > SCHEMA:
        raise CaseError(
            f"{name}: field schema is {version}: written by a newer memir than this one, which reads up to {SCHEMA}"
        )
    if version == 1 and type(version) is int:
        return decode(_Version1, document, name, CaseError).record()
    return decode(CaseRecord, document, name, CaseError)


@dataclass(frozen=True, slots=True)
class _Version1:
    """case.json of memir 0.1.0: one run's facts at the top, the last hunt's under `hunt`."""

    memir: str
    written: str
    tables: Mapping[str, int]
    gaps: tuple[Gap, ...]
    command: str | None = None
    evidence: Evidence | None = None
    cluster: str | None = None
    kernel: KernelFacts | None = None
    node: str | None = None
    oddities: tuple[OddityRecord, ...] = ()
    seconds: float | None = None
    hunt: _Hunt1 | None = None

    def record(self) -> CaseRecord:
        """The same as a record of today. 0.1.0 wrote no clock: the identity proves an image only by its SHA-256."""
        identity = None
        if self.evidence is not None:
            ranges = tuple((part.start, part.size) for part in self.evidence.ranges)
            build_id = self.kernel.build_id if self.kernel is not None else None
            identity = Identity(build_id, None, ranges, None, self.evidence.sha256)
        runs = []
        if self.command is not None:
            tables = {name: rows for name, rows in self.tables.items() if name != "hits"}
            runs.append(Run(self.command, self.command, self.seconds or 0.0, self.written, self.memir, tables))
        if self.hunt is not None:
            rows = {"hits": self.tables.get("hits", 0)}
            hunt = self.hunt.facts(rows["hits"])
            runs.append(Run("", "hunt", self.hunt.seconds, self.written, self.memir, rows, hunt=hunt))
        if runs:
            runs[0] = replace(runs[0], gaps=self.gaps)
        images = tuple(answer.image for answer in self.hunt.answers()) if self.hunt is not None else ()
        return CaseRecord(
            SCHEMA, self.memir, self.written, identity, images if identity is None else (), {}, self.evidence,
            self.cluster, self.kernel, self.node, self.oddities, self.tables, tuple(runs), merged_gaps([self.gaps]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Hunt1:
    """`hunt` of 0.1.0: of one image, or of many (`images`)."""

    rules: RulesUsed
    scope: str
    kinds: tuple[str, ...]
    seconds: float
    hits: int
    rows: int
    scanned: Mapping[str, int]
    image: str | None = None
    units: Mapping[str, int] = field(default_factory=dict)
    laps: Mapping[str, float] = field(default_factory=dict)
    images: tuple[ImageAnswer, ...] = ()

    def answers(self) -> tuple[ImageAnswer, ...]:
        """The images hunted through."""
        alone = (ImageAnswer(self.image or "", None, self.hits, self.rows, sum(self.scanned.values()), self.seconds),)
        return self.images or (alone if self.image else ())

    def facts(self, rows: int) -> HuntFacts:
        """The same as a hunt of today."""
        return HuntFacts(
            self.rules, self.scope, self.kinds, self.hits, rows, self.scanned, self.units, self.laps, self.images
        )
