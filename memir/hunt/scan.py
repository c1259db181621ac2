# SPDX-License-Identifier: Apache-2.0
"""Scan units with rules: gather their pages, let YARA see them, and turn its offsets back into pages."""

from __future__ import annotations

import logging
import mmap
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import yara
from numpy.typing import NDArray

from memir.gaps import Gaps
from memir.hunt.hit import ABSENT, About, Hit, frames_of
from memir.hunt.layout import BORDER, batches, collapse
from memir.hunt.memory import PAGE
from memir.hunt.rules import RuleSet
from memir.hunt.timeouts import Patience
from memir.hunt.units import Unit
from memir.image.runs import widened
from memir.kernel.pagetable import U64

__all__ = ["Hit", "Scan"]

Bytes = NDArray[np.uint8]
LIMIT = 1 << 15
"""Pages that YARA is given at once: 128 MiB. A larger unit is scanned in windows, then what they found as a
whole."""
_BATCH = 1 << 10
"""Pages of small units that are looked at together: 4 MiB, some hundredths of which hold a match on a usual node."""
_MOST_LOUD = 8  # rules that match nearly everywhere make the first look a waste
_BUFFER = 1 << 13  # pages of a thread's buffer at least: 32 MiB, which most units fit in
MAX_INSTANCES = 10_000
"""Matches of one string in one unit that become hits; the rest is counted."""
MAX_HITS = 10_000
"""Hits of one string of a rule in all that are listed with every match."""
_CALLBACK_SECONDS = 6e-6  # a rule that YARA reports although it did not match
_ZERO_SECONDS = 4e-6  # YARA over an empty page


def _log(line: str) -> None:
    """What a rule says with console.log: to the log, which `memir --debug` shows."""
    logging.getLogger(__name__).info("rule: %s", line)


class Gatherable(Protocol):
    """Pages by address: memir.image.memory.PhysicalMemory, or those of a collected pod or a checkpoint."""

    def gather(
        self, pa: U64, size: int, out: NDArray[np.uint8] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """(uint8[n, size], read bool[n]) of the bytes at these addresses; rows that are not there are zeros."""


@dataclass
class Scan:
    """Scans units; hits gather in `found`, by their key. `scanned`: bytes of pages given to YARA."""

    memory: Gatherable
    rules: RuleSet
    gaps: Gaps
    timeout: int = 60
    hits: dict[tuple[Any, ...], Hit] = field(default_factory=dict)
    scanned: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _loud: int = 0  # pieces of small units that had to be scanned again, less those that had not
    _hits: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # of each string of each rule
    _own: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        self._patience = Patience(self.rules, self.gaps, self.timeout)

    def run(
        self,
        units: Iterable[Unit],
        workers: int,
        progress: Callable[[int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Scan all units with `workers` threads (YARA releases the interpreter's lock). progress: bytes done.

        stop: once it is set no other unit is begun.
        """

        def work(batch: list[Unit]) -> int:
            if stop is None or not stop.is_set():
                self.scan_batch(batch)
            return sum(unit.size for unit in batch)

        with ThreadPoolExecutor(workers) as pool:
            try:
                for size in pool.map(work, batches(units, _BATCH if self.rules.monotone else 0)):
                    if progress is not None:
                        progress(size)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def scan_batch(self, units: Sequence[Unit]) -> None:
        """Scan small units, with monotone rules as one piece first.

        A monotone rule that matches none of it matches no unit. Most hold nothing, and one call for hundreds of units
        instead of one for each saves most of the time that two threads otherwise wait for the interpreter's lock.
        """
        if len(units) == 1 or not self.rules.monotone or self._loud > _MOST_LOUD:
            for unit in units:
                self.scan(unit)
            return
        slots = np.concatenate([part for unit in units for part in (collapse(unit), BORDER)])
        data, lost = self._gather(slots)
        with self._lock:
            self.scanned += sum(unit.size for unit in units)
            self.gaps.add("hunt", "small units", "page not in the image", lost)
        for number, rules in enumerate(self._patience.sets):
            try:
                silent = rules is None or not rules.match(data=data.data, **self._options())
            except yara.Error:  # too slow or too much for it as one piece: each unit is told by itself
                silent = False
            with self._lock:
                self._loud += -1 if silent else 1
            if not silent:
                for unit in units:
                    self._scan(unit, number)
                data, _ = self._gather(slots)  # the buffer was theirs

    def scan(self, unit: Unit) -> None:
        """Scan one unit with all rules."""
        if not len(unit.pfn):
            return
        with self._lock:
            self.scanned += unit.size
        for number in range(len(self.rules.sets)):
            self._scan(unit, number)

    def _scan(self, unit: Unit, rules: int) -> None:
        short = collapse(unit)
        if len(short) > LIMIT:
            self._windows(unit, short, rules)
        elif self.rules.monotone or len(short) == unit.span:
            self._keep(unit, short, *self._match(unit, short, rules))
        else:
            self._exact(unit, short, rules)

    def _exact(self, unit: Unit, short: U64, rules: int) -> None:
        """A region with long empty stretches, and rules that may ask for offsets or sizes.

        It must be seen with its empty pages in place. Where that costs more than a look at what is there,
        the look comes first: a region where no string of any rule is met needs no second one.
        """
        whole = unit.span <= LIMIT
        empty = unit.span - len(short)
        if not whole or empty * _ZERO_SECONDS > self.rules.count * _CALLBACK_SECONDS:
            seen: list[Any] = []
            matches, data = self._match(unit, short, rules, seen)
            if not seen and not matches:
                return
            if not whole:
                why = "too sparse to be seen whole: offsets and sizes were judged without its empty pages"
                with self._lock:
                    self.gaps.add("hunt", unit.name, why)
                self._keep(unit, short, matches, data)
                return
        slots = np.full(unit.span, ABSENT, np.uint64)
        slots[unit.place] = unit.pfn
        self._keep(unit, slots, *self._match(unit, slots, rules))

    def _windows(self, unit: Unit, short: U64, rules: int) -> None:
        """A unit larger than YARA is given at once: in windows first, then the pages with strings as one
        piece."""
        marked = np.zeros(len(short), bool)
        for begin in range(0, len(short), LIMIT - 1):
            part = short[begin : begin + LIMIT]
            seen: list[Any] = []
            matches, data = self._match(unit, part, rules, seen)
            bare = [match for match in matches if not match.strings]
            if bare and not begin:  # rules that ask for no string: the beginning speaks for the whole
                self._keep(unit, part, bare, data)
            for string in [*seen, *(string for match in matches for string in match.strings)]:
                for instance in string.instances:
                    first = begin + instance.offset // PAGE
                    marked[first : begin + (instance.offset + max(instance.matched_length, 1) - 1) // PAGE + 1] = True
            if begin + LIMIT >= len(short):
                break
            del data  # before the next window is made
        near = widened(marked)
        rows = np.flatnonzero(near if near.sum() <= LIMIT else marked)
        if not len(rows):
            return
        if len(rows) > LIMIT:
            with self._lock:
                self.gaps.add(
                    "hunt",
                    unit.name,
                    "pages with strings too many to be judged as a whole",
                    len(rows) - LIMIT,
                )
            rows = rows[:LIMIT]
        gap = np.concatenate(([rows[0] > 0], np.diff(rows) > 1))
        slots = np.full(len(rows) + int(gap.sum()), ABSENT, np.uint64)
        slots[np.arange(len(rows)) + np.cumsum(gap)] = short[rows]
        self._keep(unit, slots, *self._match(unit, slots, rules))

    def _match(self, unit: Unit, slots: U64, rules: int, seen: list[Any] | None = None) -> tuple[list[Any], Bytes]:
        """YARA's matches and the bytes it saw; `seen` also takes the strings met of rules that did not match
        as a whole."""
        flat, lost = self._gather(slots)
        options = self._options(unit) | {"warnings_callback": self._warn(unit)}
        if seen is not None:

            def take(told: dict[str, Any]) -> int:
                seen.extend(told["strings"])
                return int(yara.CALLBACK_CONTINUE)

            options["callback"] = take
            options["which_callbacks"] = yara.CALLBACK_NON_MATCHES
        why = None
        matches: list[Any] = []
        try:
            matches = self._patience.match(rules, unit.name, lambda compiled: compiled.match(data=flat.data, **options))
        except yara.Error as error:
            why = f"YARA gave up: {error}"
        with self._lock:
            self.gaps.add("hunt", unit.name, "page not in the image", lost)
            if why:
                self.gaps.add("hunt", unit.name, why)
        return matches, flat

    def _listed(self, match: Any, string: Any, unit: Unit) -> Sequence[Any]:
        """The matches of a string in a unit that become hits; the rest is counted.

        A rule that matches nearly everywhere would fill memory and disk with what says nothing. Once it has as many
        hits as anyone reads, each further unit still gets its first one: who has it is then known for all.
        """
        name = (match.namespace, match.rule, string.identifier)
        with self._lock:
            room = max(MAX_HITS - self._hits[name], 1)
            listed: Sequence[Any] = string.instances[: min(room, MAX_INSTANCES)]
            self._hits[name] += len(listed)
            over = len(string.instances) - len(listed)
            if over and len(listed) < MAX_INSTANCES:
                where = f"{string.identifier} of {match.rule}"
                self.gaps.add("hunt", where, f"more than {MAX_HITS} hits: of each further unit only the first", over)
            elif over:
                where = f"{unit.name}: {string.identifier} of {match.rule}"
                self.gaps.add("hunt", where, f"more than {MAX_INSTANCES} matches of a string in a unit", over)
        return listed

    def _gather(self, slots: U64) -> tuple[Bytes, int]:
        """(bytes of these frames in this thread's buffer, frames that are not in the image)."""
        data, ok = self.memory.gather(slots << np.uint64(12), PAGE, self._buffer(len(slots)))
        return data.reshape(-1), int((~ok & (slots != ABSENT)).sum())

    def _options(self, unit: Unit | None = None) -> dict[str, Any]:
        # else YARA prints what rules log on standard output, into --json too
        options: dict[str, Any] = {"timeout": self.timeout, "console_callback": _log}
        externals: dict[str, Any] = dict(self.rules.externals)
        if unit is not None and unit.variables is not None:
            externals |= {name: unit.variables[name] for name in self.rules.unit_externals}
        if externals:
            options["externals"] = externals
        return options

    def _buffer(self, pages: int) -> NDArray[np.uint8]:
        """This thread's own pages to gather into, overwritten by the next call.

        New memory for every unit would be mapped, cleared and unmapped each time, which stops the other threads too:
        all of them share one page table.
        """
        held: NDArray[np.uint8] | None = getattr(self._own, "buffer", None)
        if held is None or len(held) < pages:
            size = PAGE * max(pages, _BUFFER)
            area = mmap.mmap(-1, size)
            area.madvise(mmap.MADV_HUGEPAGE)
            held = self._own.buffer = np.frombuffer(area, np.uint8).reshape(-1, PAGE)
        return held

    def _warn(self, unit: Unit) -> Callable[[int, Any], int]:
        def told(kind: int, message: Any) -> int:
            del kind
            rule, string = getattr(message, "rule", "?"), getattr(message, "string", "?")
            with self._lock:
                self.gaps.add("hunt", f"{unit.name}: {string} of {rule}", "more matches than YARA keeps of a string")
            return int(yara.CALLBACK_CONTINUE)

        return told

    def _keep(self, unit: Unit, slots: U64, matches: Sequence[Any], data: Bytes) -> None:
        """Turn matches into hits."""
        fresh: list[Hit] = []
        for match in matches:
            about = About.of(match, self.rules.file_of(match.namespace, match.rule), unit)
            if not match.strings:
                fresh.append(about.hit(None, (int(unit.pfn[0]),), 0, (0, 0), data))
            for string in match.strings:
                for instance in self._listed(match, string, unit):
                    offset, matched = instance.offset, instance.matched_length
                    length = about.length(data, offset, matched)
                    place = frames_of(unit, slots, offset, length)
                    if place is None and length > matched:  # it goes on in a page that does not follow
                        length = matched
                        place = frames_of(unit, slots, offset, length)
                    if place is not None:
                        fresh.append(about.hit(string.identifier, *place, (offset, length), data))
        with self._lock:
            for hit in fresh:
                old = self.hits.setdefault(hit.key, hit)
                if old is not hit:
                    old.mms = None if old.mms is None or hit.mms is None else old.mms | hit.mms
