# SPDX-License-Identifier: Apache-2.0
"""Rows that a recording tells beside the same rows of memir: every row that one side alone has, every other value and
every null where the recording has a value is a difference, with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
Key = tuple[Any, ...]
Rows = Callable[[str], list[dict[str, Any]]]
"""Rows of a table, by its name."""
TRUTH_ALONE, MEMIR_ALONE, OTHER, NULL = KINDS = ("recording alone", "memir alone", "other value", "null")
UNEXPLAINED = "not explained"


def no_reason(_key: Key, _where: str, _truth: Row | None, _memir: Row | None) -> str:
    """Nothing is expected to differ."""
    return ""


@dataclass(frozen=True)
class Told:
    """Rows of a table by what names them on both sides. what: which file or program told it. why: the reason of a
    difference, "" where there is none; `where` is a column, TRUTH_ALONE or MEMIR_ALONE."""

    table: str
    what: str
    truth: Mapping[Key, Row]
    memir: Mapping[Key, Row]
    why: Callable[[Key, str, Row | None, Row | None], str] = no_reason


@dataclass(frozen=True)
class Difference:
    """Rows of one table that differ in the same way. kind: of KINDS; column: of OTHER and NULL."""

    table: str
    what: str
    kind: str
    column: str
    reason: str


@dataclass
class Agreement:
    """What was compared of one table: rows told, those equal in every column, differences by their count."""

    table: str
    what: list[str] = field(default_factory=list)
    rows: int = 0
    equal: int = 0
    columns: set[str] = field(default_factory=set)
    differences: Counter[Difference] = field(default_factory=Counter)
    examples: dict[Difference, str] = field(default_factory=dict)

    def count(self, kind: str) -> int:
        """How many differences are of a kind, of every column."""
        return sum(number for each, number in self.differences.items() if each.kind == kind)

    def take(self, other: Agreement) -> None:
        """Add what was compared of another image."""
        self.what += [what for what in other.what if what not in self.what]
        self.rows += other.rows
        self.equal += other.equal
        self.columns |= other.columns
        self.differences += other.differences
        self.examples = other.examples | self.examples


def compare(told: Told) -> Agreement:
    """Both ways, column by column."""
    answer = Agreement(told.table, [told.what])

    def differ(key: Key, kind: str, column: str, truth: Row | None, memir: Row | None) -> None:
        reason = told.why(key, column or kind, truth, memir) or UNEXPLAINED
        difference = Difference(told.table, told.what, kind, column, reason)
        answer.differences[difference] += 1
        values = f": {truth[column]!r} / {memir[column]!r}" if column and truth and memir else ""
        answer.examples.setdefault(difference, f"{key!r}{values}")

    for key, truth in told.truth.items():
        answer.rows += 1
        answer.columns |= set(truth)
        memir = told.memir.get(key)
        if memir is None:
            differ(key, TRUTH_ALONE, "", truth, None)
            continue
        other = [name for name, value in truth.items() if memir[name] != value]
        answer.equal += not other
        for name in other:
            null = memir[name] is None and truth[name] not in (None, [], "")
            differ(key, NULL if null else OTHER, name, truth, memir)
    for key in told.memir.keys() - told.truth.keys():
        differ(key, MEMIR_ALONE, "", None, told.memir[key])
    return answer


def keyed(rows: Iterable[tuple[Key, Row]]) -> dict[Key, Row]:
    """Rows by their keys; of those with one key the second has 1 at its end, the third 2."""
    seen: Counter[Key] = Counter()
    answer: dict[Key, Row] = {}
    for key, row in rows:
        answer[(*key, seen[key]) if seen[key] else key] = row
        seen[key] += 1
    return answer
