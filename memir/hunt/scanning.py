# SPDX-License-Identifier: Apache-2.0
"""A scan as people see it: how far it is, Ctrl-C that keeps what was found, and what was left out or not reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memir.gaps import Gaps
from memir.hunt.rules import RuleSet
from memir.hunt.scan import Scan
from memir.hunt.units import Unit

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, of how much: bytes."""


def tell_left_out(rules: RuleSet, gaps: Gaps) -> None:
    """Count the rules that --skip-bad-rules left out."""
    for fault in rules.skipped:
        place, _, reason = fault.partition(": ")
        gaps.add("rules", place, f"left out: {reason}")


def scan_units(
    scan: Scan,
    units: Sequence[Unit],
    workers: int,
    progress: Progress | None,
    what: str,
    on_first_hit: Callable[[], None] | None = None,
) -> bool:
    """Scan all units; whether the user stopped it. what: `bytes of RAM`, of the gap that then has what was not scanned.

    What was found so far is worth as much as it would be at the end. on_first_hit: called once in this thread, which
    has nothing to do while others scan.
    """
    total, done, waiting = sum(unit.size for unit in units), 0, on_first_hit

    def advance(size: int) -> None:
        nonlocal done, waiting
        done += size
        if progress is not None:
            progress("hunting", done, total)
        if waiting is not None and scan.hits:
            ready, waiting = waiting, None
            ready()

    try:
        scan.run(units, workers, advance)
    except KeyboardInterrupt:
        scan.gaps.add("hunt", what, "interrupted by the user: not scanned", total - done)
        return True
    return False
