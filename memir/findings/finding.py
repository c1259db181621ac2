# SPDX-License-Identifier: Apache-2.0
"""What a detection is, and what it says of one thing.

A detection's file declares what is alike in all that it finds (why it matters, what is harmless and looks the same,
what to look at next, what it cannot see), and a function over tables that gives a Match for each thing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from memir.findings.look import Look

Row = Mapping[str, Any]
Severity = Literal["info", "low", "medium", "high", "critical"]
SEVERITIES: tuple[str, ...] = get_args(Severity)
"""From the least to the most."""
_MAX_TEXT = 300
"""Characters of a name or path of the image in a title: the row that proves it has all of it."""


def at_least(severity: str, lowest: str) -> bool:
    """Whether a severity is the lowest one or above. ValueError for a word that is none."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(lowest)


def short(text: Any) -> str:
    """Text of the image for a title, its end cut where it is long."""
    words = str(text)
    return words if len(words) <= _MAX_TEXT else words[: _MAX_TEXT - 1] + "…"


@dataclass(frozen=True, slots=True)
class Proof:
    """A row that proves a finding. key: what selects it in SQL, e.g. `pid = 7`: `select * from TABLE where KEY`."""

    table: str
    key: str


def of_file(row: Row, *, inode: bool = False) -> Proof:
    """The proof of a row of inodes: by its struct inode (inode: and number), or by a collected layer's list."""
    if row["address"] is None:
        return Proof("inodes", "source = '" + str(row["source"]).replace("'", "''") + "'")
    return Proof("inodes", f"address = {row['address']}" + (f" and inode = {row['inode']}" if inode else ""))


@dataclass(frozen=True, slots=True)
class Match:
    """One thing that a detection finds.

    row: whose columns say where it is (container_id, pod_uid, ...), and pid and start_time where it has them. reason:
    why this severity. subject: what makes it this finding and no other, the same in every analysis of the image; the
    proofs' keys if it is empty. first_seen: since when, the start of the process if it is None.
    """

    severity: Severity
    reason: str
    title: str
    row: Row
    proofs: tuple[Proof, ...]
    path: str | None = None
    first_seen: datetime | None = None
    subject: str = ""
    check_next: tuple[str, ...] = ()
    technique: str = ""


@dataclass(frozen=True)
class Detection:
    """kind: word of the closed list in docs/reference/findings.md. title, how: what it finds, and how it decides.

    technique: id of ATT&CK (memir.findings.attack). tables: those that it cannot do without; more: those that it uses
    where they are there. gaps: beginnings of the kinds of gaps that take rows from it. why: why it matters. benign:
    what looks the same and is harmless. missed: what it cannot see. also_known: names that Falco and GuardDuty have.
    given_by: option that gives it what it compares with; without that it is not looked for, and the option is named.
    """

    kind: str
    title: str
    how: str
    technique: str
    tables: tuple[str, ...]
    find: Callable[[Look], Iterable[Match]]
    why: str
    check_next: tuple[str, ...]
    benign: tuple[str, ...]
    missed: tuple[str, ...]
    more: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    also_known: tuple[str, ...] = field(default=())
    given_by: str = ""

    def id_of(self, match: Match) -> str:
        """Stable name of a finding: its kind and 8 hex digits of what it is about."""
        subject = match.subject or "; ".join(f"{proof.table}: {proof.key}" for proof in match.proofs)
        digest = hashlib.sha256(subject.encode("utf-8", "backslashreplace")).hexdigest()
        return f"{self.kind}-{digest[:8]}"
