"""Scan units with rules: gather their pages, let YARA see them, and turn its offsets back into pages."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import yara
from numpy.typing import NDArray

from memir.gaps import Gaps
from memir.hunt.memory import PAGE
from memir.hunt.rules import RuleSet
from memir.hunt.timeouts import Patience
from memir.hunt.units import Unit
from memir.image.memory import PhysicalMemory
from memir.kernel.pagetable import U64

Bytes = NDArray[np.uint8]
ABSENT = np.uint64((1 << 52) - 1)
LIMIT = 1 << 15
"""Pages that YARA is given at once: 128 MiB. A larger unit is scanned in windows, then what they found as a
whole."""
MAX_INSTANCES = 10_000
"""Matches of one string in one unit that become hits; the rest is counted."""
MAX_DATA = 256
CONTEXT = 64
_CALLBACK_SECONDS = 6e-6  # a rule that YARA reports although it did not match
_ZERO_SECONDS = 4e-6  # YARA over an empty page


@dataclass(slots=True)
class Found:
    """One physical hit. pages: frames that it lies on; offset: of its first byte in the first of them.

    length: bytes matched; data: the first of them. before, after: bytes around it as its unit has them.
    mms: address spaces in whose units the rule matched; None: in a unit that is no process's, so all count.
    """

    rule: str
    rule_namespace: str
    tags: tuple[str, ...]
    meta: tuple[tuple[str, str], ...]
    string: str | None
    pages: tuple[int, ...]
    offset: int
    length: int
    data: bytes
    before: bytes
    after: bytes
    kind: str
    mms: set[int] | None

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes two finds the same hit."""
        return self.rule_namespace, self.rule, self.string or "", self.pages, self.offset, self.length

    @property
    def paddr(self) -> int:
        """Physical address of the first byte."""
        return (self.pages[0] << 12) + self.offset


def _log(line: str) -> None:
    """What a rule says with console.log: to the log, which `memir --debug` shows."""
    logging.getLogger(__name__).info("rule: %s", line)


@dataclass
class Scan:
    """Scans units; hits gather in `found`, by their key. `scanned`: bytes of pages given to YARA."""

    memory: PhysicalMemory
    rules: RuleSet
    gaps: Gaps
    timeout: int = 60
    found: dict[tuple[Any, ...], Found] = field(default_factory=dict)
    scanned: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._patience = Patience(self.rules, self.gaps, self.timeout)

    def run(self, units: Iterable[Unit], workers: int, progress: Callable[[int], None] | None = None) -> None:
        """Scan all units with `workers` threads (YARA releases the interpreter's lock). progress: bytes
        done."""
        ordered = sorted(units, key=lambda one: -len(one.pfn))  # long ones first: no thread ends alone with one

        def one(unit: Unit) -> int:
            self.scan(unit)
            return unit.size

        with ThreadPoolExecutor(workers) as pool:
            try:
                for size in pool.map(one, ordered):
                    if progress is not None:
                        progress(size)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def scan(self, unit: Unit) -> None:
        """Scan one unit with all rules."""
        if not len(unit.pfn):
            return
        with self._lock:
            self.scanned += unit.size
        short = collapse(unit)
        for rules in range(len(self.rules.sets)):
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
            bare = [one for one in matches if not one.strings]
            if bare and not begin:  # rules that ask for no string: the beginning speaks for the whole
                self._keep(unit, part, bare, data)
            for one in [*seen, *(string for match in matches for string in match.strings)]:
                for instance in one.instances:
                    first = begin + instance.offset // PAGE
                    marked[first : begin + (instance.offset + max(instance.matched_length, 1) - 1) // PAGE + 1] = True
            if begin + LIMIT >= len(short):
                break
            del data  # before the next window is made
        near = marked.copy()
        near[:-1] |= marked[1:]
        near[1:] |= marked[:-1]
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
        data, ok = self.memory.gather(slots << np.uint64(12), PAGE)
        lost = int((~ok & (slots != ABSENT)).sum())
        options: dict[str, Any] = {"timeout": self.timeout, "warnings_callback": self._warn(unit)}
        options["console_callback"] = _log  # else YARA prints what rules log on standard output, into --json too
        if self.rules.externals:
            options["externals"] = dict(self.rules.externals)
        if seen is not None:

            def take(told: dict[str, Any]) -> int:
                seen.extend(told["strings"])
                return int(yara.CALLBACK_CONTINUE)

            options["callback"] = take
            options["which_callbacks"] = yara.CALLBACK_NON_MATCHES
        why = None
        matches: list[Any] = []
        flat = data.reshape(-1)
        try:
            matches = self._patience.match(rules, unit.name, lambda compiled: compiled.match(data=flat.data, **options))
        except yara.Error as error:
            why = f"YARA gave up: {error}"
        with self._lock:
            self.gaps.add("hunt", unit.name, "page not in the image", lost)
            if why:
                self.gaps.add("hunt", unit.name, why)
        return matches, flat

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
        fresh: list[Found] = []
        for match in matches:
            about = _About.of(match, unit)
            if not match.strings:
                fresh.append(about.found(None, (int(unit.pfn[0]),), 0, (0, 0), data))
            for string in match.strings:
                over = len(string.instances) - MAX_INSTANCES
                if over > 0:
                    where = f"{unit.name}: {string.identifier} of {match.rule}"
                    with self._lock:
                        self.gaps.add("hunt", where, f"more than {MAX_INSTANCES} matches of a string in a unit", over)
                for instance in string.instances[:MAX_INSTANCES]:
                    place = _pages(unit, slots, instance.offset, instance.matched_length)
                    if place is not None:
                        span = (instance.offset, instance.matched_length)
                        fresh.append(about.found(string.identifier, *place, span, data))
        with self._lock:
            for hit in fresh:
                old = self.found.setdefault(hit.key, hit)
                if old is not hit:
                    old.mms = None if old.mms is None or hit.mms is None else old.mms | hit.mms


@dataclass(frozen=True, slots=True)
class _About:
    """What all hits of one rule in one unit share."""

    rule: str
    namespace: str
    tags: tuple[str, ...]
    meta: tuple[tuple[str, str], ...]
    unit: Unit

    @classmethod
    def of(cls, match: Any, unit: Unit) -> _About:
        meta = tuple((str(key), _text(value)) for key, value in match.meta.items())
        return cls(match.rule, match.namespace, tuple(match.tags), meta, unit)

    def found(
        self, string: str | None, pages: tuple[int, ...], offset: int, span: tuple[int, int], data: Bytes
    ) -> Found:
        """The hit of a string at span (offset and length in the unit's bytes)."""
        at, length = span
        end = at + length
        return Found(
            self.rule, self.namespace, self.tags, self.meta, string, pages, offset, length,
            data[at : min(end, at + MAX_DATA)].tobytes(), data[max(0, at - CONTEXT) : at].tobytes(),
            data[end : end + CONTEXT].tobytes(), self.unit.kind,
            None if self.unit.mms is None else set(self.unit.mms),
        )  # fmt: skip


def collapse(unit: Unit) -> U64:
    """The unit's frames with one empty page (ABSENT) for every stretch of absent or empty ones."""
    place = unit.place
    gap = np.concatenate(([place[0] > 0], np.diff(place) != 1))
    at = np.arange(len(place)) + np.cumsum(gap)
    slots = np.full(int(at[-1]) + 1 + int(place[-1] < unit.span - 1), ABSENT, np.uint64)
    slots[at] = unit.pfn
    return slots


def _pages(unit: Unit, slots: U64, offset: int, length: int) -> tuple[tuple[int, ...], int] | None:
    """(frames, offset in the first) of bytes of a unit; None if they only meet because frames were put side
    by side."""
    first, last = offset // PAGE, (offset + max(length, 1) - 1) // PAGE
    frames = slots[first : last + 1]
    if not unit.joined and (np.diff(frames) != 1).any():
        return None
    present = frames[frames != ABSENT]
    if not len(present):
        return None
    return tuple(present.tolist()), offset % PAGE if frames[0] != ABSENT else 0


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
