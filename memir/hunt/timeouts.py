# SPDX-License-Identifier: Apache-2.0
"""Rules that take too long: found out, and set aside once they have done it to several units.

YARA ends a scan that takes too long, and with it the matches of all other rules on that unit. So the rules
to blame are looked for on that very unit, by halves, and the unit is scanned again without them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import yara

from memir.gaps import Gaps
from memir.hunt.rules import RuleName, RuleSet

STRIKES = 3
"""Units that a rule may hold up before it is set aside for the rest of the hunt."""

Match = Callable[[Any], list[Any]]


class Patience:
    """The rule sets as they are used, shared by all threads. Every rule that was blamed is a gap that names
    the unit."""

    def __init__(self, rules: RuleSet, gaps: Gaps, seconds: int) -> None:
        self.sets: list[Any] = list(rules.sets)
        self.aside: list[RuleName] = []
        self._rules, self._gaps, self._seconds = rules, gaps, seconds
        self._strikes: dict[RuleName | int, int] = {}
        self._lock = threading.Lock()

    def match(self, number: int, unit: str, match: Match) -> list[Any]:
        """Matches of one set on a unit; `match` scans it with the rules given and raises
        yara.TimeoutError."""
        rules = self.sets[number]
        if rules is None:
            return []
        try:
            return match(rules)
        except yara.TimeoutError:
            pass
        with self._lock:
            if self.sets[number] is not rules:  # another thread has found out meanwhile
                again = self.sets[number]
            else:
                return self._blame(number, unit, match)
        if again is None:
            return []
        try:
            return match(again)
        except yara.TimeoutError:
            with self._lock:
                return self._blame(number, unit, match)

    def _blame(self, number: int, unit: str, match: Match) -> list[Any]:
        names = (
            [name for name in self._rules.names if name not in self.aside] if number in self._rules.divisible else []
        )
        blamed = self._slow(names, match) if names else []
        for name in blamed:
            self._gaps.add("hunt", unit, f"rule {name[1]} of {name[0]} took longer than {self._seconds} s")
            self._strikes[name] = self._strikes.get(name, 0) + 1
        if not blamed:
            self._gaps.add("hunt", unit, f"rules took longer than {self._seconds} s")
            self._strikes[number] = self._strikes.get(number, 0) + 1
            if self._strikes[number] >= STRIKES:
                self.sets[number] = None
                self._gaps.add("hunt", unit, f"all rules of set {number} were set aside after {STRIKES} such units")
            return []
        out = [name for name in blamed if self._strikes[name] >= STRIKES]
        if out:
            self.aside += out
            self.sets[number] = self._rules.without(self.aside)
            for name in out:
                self._gaps.add("hunt", unit, f"rule {name[1]} of {name[0]} was set aside after {STRIKES} such units")
        try:
            return match(self._rules.without([*self.aside, *blamed]))
        except yara.TimeoutError:
            self._gaps.add("hunt", unit, f"rules took longer than {self._seconds} s together")
            return []

    def _slow(self, names: Sequence[RuleName], match: Match) -> list[RuleName]:
        """Those of the rules that hold the unit up; rules blamed before are tried first."""
        known = [name for name in names if self._strikes.get(name)]
        if known:
            others = [*self.aside, *known]
            if not self._holds_up(match, self._rules.without(others)):
                return known
        return self._halves(list(names), match)

    def _halves(self, names: list[RuleName], match: Match) -> list[RuleName]:
        kept = set(names)
        if not self._holds_up(match, self._rules.without([name for name in self._rules.names if name not in kept])):
            return []
        if len(names) == 1:
            return names
        middle = len(names) // 2
        return self._halves(names[:middle], match) + self._halves(names[middle:], match)

    @staticmethod
    def _holds_up(match: Match, rules: Any) -> bool:
        try:
            match(rules)
        except yara.TimeoutError:
            return True
        return False
