# SPDX-License-Identifier: Apache-2.0
"""What a hunt gave: its rows as a table to look at, and what a case keeps of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memir.gaps import Gap
from memir.view import View

if TYPE_CHECKING:
    import pyarrow as pa

    from memir.case.record import HuntFacts
    from memir.hunt.hunt import Hunt


@dataclass(frozen=True)
class Hunted:
    """A hunt that save() writes: what it found, secrets masked, and the record of it."""

    run: str
    result: Hunt
    facts: HuntFacts
    seconds: float
    gaps: tuple[Gap, ...]
    inputs: tuple[Any, ...]


class Hits(View):
    """Rows of the table `hits`. facts: rules, units and bytes that were scanned, hits; run: id of this hunt.

    stopped: the user interrupted it; what was not scanned is a gap.
    """

    def __init__(self, table: pa.Table, run: str, facts: HuntFacts, seconds: float, stopped: bool) -> None:
        super().__init__("hits", table)
        self.run, self.facts, self.seconds, self.stopped = run, facts, seconds, stopped
