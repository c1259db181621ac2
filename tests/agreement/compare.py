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
TRUTH_ALONE, MEMIR_ALONE, NULL = "recording alone", "memir alone", "null"
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
    """Rows of one table that differ in the same way. where: as in Told.why, or `null COLUMN`."""

    table: str
    what: str
    where: str
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

    def count(self, where: str) -> int:
        """How many differ so; NULL counts those of every column, "" other values of every column."""
        if where == NULL:
            return sum(number for each, number in self.differences.items() if each.where.startswith(f"{NULL} "))
        if where:
            return sum(number for each, number in self.differences.items() if each.where == where)
        every = self.differences.total()
        return every - self.count(TRUTH_ALONE) - self.count(MEMIR_ALONE) - self.count(NULL)

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

    def differ(key: Key, where: str, reason_of: str, truth: Row | None, memir: Row | None) -> None:
        reason = told.why(key, reason_of, truth, memir) or UNEXPLAINED
        difference = Difference(told.table, told.what, where, reason)
        answer.differences[difference] += 1
        values = "" if truth is None or memir is None else f": {truth[reason_of]!r} / {memir[reason_of]!r}"
        answer.examples.setdefault(difference, f"{key!r}{values}")

    for key, truth in told.truth.items():
        answer.rows += 1
        answer.columns |= set(truth)
        memir = told.memir.get(key)
        if memir is None:
            differ(key, TRUTH_ALONE, TRUTH_ALONE, truth, None)
            continue
        other = [name for name, value in truth.items() if memir[name] != value]
        answer.equal += not other
        for name in other:
            where = f"{NULL} {name}" if memir[name] is None and truth[name] not in (None, [], "") else name
            differ(key, where, name, truth, memir)
    for key in told.memir.keys() - told.truth.keys():
        differ(key, MEMIR_ALONE, MEMIR_ALONE, None, told.memir[key])
    return answer


def keyed(rows: Iterable[tuple[Key, Row]]) -> dict[Key, Row]:
    """Rows by their keys; of those with one key the second has 1 at its end, the third 2."""
    seen: Counter[Key] = Counter()
    answer: dict[Key, Row] = {}
    for key, row in rows:
        answer[(*key, seen[key]) if seen[key] else key] = row
        seen[key] += 1
    return answer
