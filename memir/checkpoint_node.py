# SPDX-License-Identifier: Apache-2.0
"""A container as a kubelet's checkpoint archive has it, with the face of a node: tables, SQL, hunts, findings, case."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.checkpoint.source import CheckpointSource
from memir.errors import UsageError
from memir.kernel.ram import Coverage
from memir.node import Node, Progress

if TYPE_CHECKING:
    from memir.case.identity import Identity
    from memir.case.record import Facts
    from memir.findings.look import ImageFacts
    from memir.hunt.hunt import Hunt, Options
    from memir.hunt.rules import RuleSet
    from memir.logs.stream import LogPath

FORMAT = "kubelet checkpoint"
_PAGE = 4096


@dataclass(frozen=True)
class DumpedMemory(Coverage):
    """How much of the memory that the page maps of a checkpoint name is in its archive."""

    def text(self) -> str:
        """One line for people."""
        counted = f"{self.present:,} of {self.total:,} bytes"
        percent = f"{self.share * 100:.1f}" if self.whole else f"{min(self.share * 100, 99.9):.1f}"
        return f"{percent} % of the memory that CRIU dumped is in the archive ({counted}, by its page maps)"

    @property
    def share(self) -> float:
        """Bytes that are present over all of them; 1.0 for processes without memory."""
        return self.present / self.total if self.total else 1.0


class CheckpointNode(Node):
    """One container of a node: every row of every table is its own."""

    source: CheckpointSource  # type: ignore[assignment]  # what a node asks of a source, it has

    def __init__(
        self, source: CheckpointSource, *, progress: Progress | None = None, logs: Sequence[LogPath] = ()
    ) -> None:
        """source: the archive; logs: files and folders. What a checkpoint has no table of is a gap from the start."""
        from memir.tables.table import tables

        self.source = source
        self.cluster = None
        self._setup(progress, logs)
        readers = {name: table.readers for name, table in tables().items()}
        lacks = [name for name, given in readers.items() if "ram" in given and source.kind not in given]
        self.gaps.add("table", ", ".join(lacks), "a checkpoint does not hold what it is of", len(lacks))
        self.gaps.add("pid", "every table", "those of the container: the node's own are not in a checkpoint",
                      len(source.tree.processes) if source.container.spec.host_pid is not True else 0)  # fmt: skip

    @property
    def memory(self) -> Any:
        """The dumped pages."""
        return self.source.tree.pages

    @property
    def name(self) -> str | None:
        """The node's name: no checkpoint says it."""
        return None

    @functools.cached_property
    def coverage(self) -> Coverage:
        """How much of the dumped memory is there; not whole if the archive is cut."""
        pages, missing = self.source.tree.pages, self.source.archive.missing
        total = max(pages.total * _PAGE, int(missing > 0))
        lost = max(pages.absent * _PAGE, int(missing > 0))
        return DumpedMemory(total, total - lost, (), "page maps", {})

    @functools.cached_property
    def identity(self) -> Identity:
        """The archive's hash, and when the runtime says that it was taken."""
        from memir.case.identity import Identity, clock_text

        taken = self.source.container.taken
        text = None if taken is None else clock_text(taken)
        return Identity(None, None, ((0, self.memory.frames * _PAGE),), taken, self.memory.sha256(self._progress), text)

    def close(self) -> None:
        """Close the archive."""
        self._closing.close()
        self.source.close()

    def facts(self, sha256: str | None = None) -> Facts:  # noqa: ARG002  (it is hashed in any case)
        """What a case records of the archive."""
        from memir.case.record import Evidence, Facts, Range

        archive, identity = self.source.archive, self.identity
        evidence = Evidence(
            str(archive.path), FORMAT, "tar", archive.size, self.memory.frames * _PAGE, archive.missing,
            tuple(Range(start, size) for start, size in identity.ranges), identity.sha256,
        )  # fmt: skip
        return Facts(identity, (), {}, evidence)

    def smear(self) -> None:
        """None: what is dumped stands still."""

    def _image_facts(self) -> ImageFacts:
        from memir.findings.look import ImageFacts
        from memir.kernel.timekeeping import utc

        taken = self.source.container.taken
        return ImageFacts(tuple(self.gaps), None, None if taken is None else utc(taken))

    def _scan(self, rules: RuleSet, options: Options) -> Hunt:
        from memir.hunt.checkpoint import hunt_checkpoint

        return hunt_checkpoint(self.source, rules, options, progress=self._progress)

    def __repr__(self) -> str:
        from memir.text import safe

        owner = self.source.container.owner
        whose = "/".join(safe(part) for part in (owner.namespace, owner.pod_name, owner.container_name) if part)
        return f"<memir.Node, checkpoint of {whose or 'a container'}, {safe(str(self.source.archive.path))}>"


def open_checkpoint(
    path: str | Path,
    *,
    logs: Sequence[LogPath] = (),
    progress: Progress | None = None,
    unused: Mapping[str, Any] | None = None,
) -> CheckpointNode:
    """Open a checkpoint archive. unused: options for RAM by name, of which none may be given.

    ImageError if the archive cannot be used, UsageError for such an option.
    """
    odd = [name for name, value in (unused or {}).items() if value is not None]
    if odd:
        raise UsageError(f"--{odd[0]}: {path} is a checkpoint archive, which has no kernel and no node: leave it out")
    source = CheckpointSource(path)
    try:
        return CheckpointNode(source, progress=progress, logs=logs)
    except BaseException:
        source.close()
        raise
