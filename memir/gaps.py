# SPDX-License-Identifier: Apache-2.0
"""What could not be read, said and counted. Imports nothing heavy: the command line reads this at start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be read, said and counted.

    kind: what was being read, in the tables' words ("task", "cgroup path", "args").
    where: an example of the place (address, path, pid), as text.
    why: the reason, short enough to group by ("page not in image", "list loops").
    count: how many times.
    """

    kind: str
    where: str
    why: str
    count: int = 1


class Gaps:
    """Collects gaps; the same kind and reason add up, the first place is kept as the example."""

    def __init__(self) -> None:
        self._gaps: dict[tuple[str, str], Gap] = {}

    def add(self, kind: str, where: str, why: str, count: int = 1) -> None:
        """Count `count` things of `kind` that could not be read; nothing happens when count is 0."""
        if count <= 0:
            return
        old = self._gaps.get((kind, why))
        total = count + (old.count if old else 0)
        self._gaps[(kind, why)] = Gap(kind, old.where if old else where, why, total)

    def once(self, kind: str, where: str, why: str, count: int) -> None:
        """The same of what several readers meet, each all of it: the largest count stands."""
        old = self._gaps.get((kind, why))
        self.add(kind, where, why, count - (old.count if old else 0))

    def extend(self, other: Gaps) -> None:
        """Take over every gap of another collection."""
        for gap in other:
            self.add(gap.kind, gap.where, gap.why, gap.count)

    def __iter__(self) -> Iterator[Gap]:
        return iter(self._gaps.values())

    def __len__(self) -> int:
        return len(self._gaps)

    @property
    def total(self) -> int:
        """How many things could not be read, over all kinds."""
        return sum(gap.count for gap in self)
