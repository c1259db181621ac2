# SPDX-License-Identifier: Apache-2.0
"""What a checkpoint and a collected pod have in common as nodes: tables they lack are gaps, and one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from memir.errors import UsageError
from memir.node import Node, Progress

if TYPE_CHECKING:
    from memir.case.record import Facts
    from memir.logs.stream import LogPath

PAGE = 4096


class PartNode(Node):
    """A part of a node, of which every row of every table is."""

    source: Any  # a CheckpointSource or a CollectedSource: what a node asks of a source, they have
    what: ClassVar[str]
    """What it is, in words."""
    lacking: ClassVar[str]
    """Why a table that RAM gives is not there."""

    def __init__(self, source: Any, *, progress: Progress | None = None, logs: Sequence[LogPath] = ()) -> None:
        """source: the archive or folder; logs: files and folders. What it has no table of is a gap from the start."""
        from memir.tables.table import tables

        self.source = source
        self._setup(progress, logs)
        readers = {name: table.readers for name, table in tables().items()}
        lacks = [name for name, given in readers.items() if "ram" in given and source.kind not in given]
        self.gaps.add("table", ", ".join(lacks), self.lacking, len(lacks))

    def smear(self) -> None:
        """Not measured: what is dumped stands still, and has no structures of one kernel that could contradict."""
        return

    def _facts(self, kind: str, container: str, size: int, pages: int, missing: int = 0) -> Facts:
        """What a case records. kind, container: what it is, in what; size: bytes of it; pages: of memory in it."""
        from memir.case.record import Evidence, Facts, Range

        identity = self.identity
        ranges = tuple(Range(start, length) for start, length in identity.ranges)
        path = str(self.memory.path)
        evidence = Evidence(path, kind, container, size, pages * PAGE, missing, ranges, identity.sha256)
        return Facts(identity, (), {}, evidence)


def refuse_options(unused: Mapping[str, Any] | None, why: str) -> None:
    """UsageError for the first option for RAM (by name) that was given, which says why there is no use for it."""
    odd = [name for name, value in (unused or {}).items() if value is not None]
    if odd:
        raise UsageError(f"--{odd[0]}: {why}: leave it out")
