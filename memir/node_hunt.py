# SPDX-License-Identifier: Apache-2.0
"""A hunt through what a node holds: its rows, and what a case records of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from memir.case.facts import gaps_since, hunt_facts, hunt_id
from memir.errors import UsageError
from memir.hits import Hunted
from memir.hunt.hits import TABLE
from memir.hunt_options import nothing_wanted

if TYPE_CHECKING:
    import pyarrow as pa

    from memir.gaps import Gaps
    from memir.hunt.hunt import Hunt, Options
    from memir.hunt.rules import RuleSet
    from memir.image.memory import PhysicalMemory


class _Node(Protocol):
    @property
    def memory(self) -> PhysicalMemory: ...
    @property
    def gaps(self) -> Gaps: ...


def hunt(node: _Node, scan: Callable[[], Hunt], rules: RuleSet, options: Options) -> tuple[pa.Table, Hunted]:
    """Scan, and tell it. Gives the table `hits` (a row for each hit and owner) and what a case keeps of the hunt.

    UsageError if nothing in the memory is what was asked for, ImageError if its file changed meanwhile.
    """
    before, begun = list(node.gaps), time.monotonic()
    run, inputs = hunt_id(rules, options)
    result = scan()
    node.memory.check_unchanged()
    if options.wanted and not sum(result.units.values()):
        raise UsageError(nothing_wanted(str(node.memory.path), options))
    seconds = time.monotonic() - begun
    facts = hunt_facts(
        rules, options, hits=result.hits, rows=len(result.rows), scanned=result.scanned, units=result.units,
        laps=result.seconds,
    )  # fmt: skip
    table = TABLE.rows({**row, "run": run} for row in result.rows).to_arrow()
    return table, Hunted(run, result, facts, seconds, gaps_since(before, node.gaps), tuple(inputs))
