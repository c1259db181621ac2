# SPDX-License-Identifier: Apache-2.0
"""A container as a kubelet's checkpoint archive has it, with the face of a node: tables, SQL, hunts, findings, case."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.checkpoint.source import WHAT, CheckpointSource
from memir.kernel.ram import Coverage
from memir.node import Progress
from memir.part_node import PAGE, PartNode, refuse_options

if TYPE_CHECKING:
    from memir.case.identity import Identity
    from memir.case.record import Facts
    from memir.findings.look import ImageFacts
    from memir.hunt.hunt import Hunt, Options
    from memir.hunt.rules import RuleSet
    from memir.logs.stream import LogPath

FORMAT = "kubelet checkpoint"


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


class CheckpointNode(PartNode):
    """One container of a node."""

    source: CheckpointSource
    what = WHAT
    lacking = "a checkpoint does not hold what it is of"

    def __init__(
        self, source: CheckpointSource, *, progress: Progress | None = None, logs: Sequence[LogPath] = ()
    ) -> None:
        """source: the archive; logs: files and folders. Its pids are the container's own, which is a gap."""
        super().__init__(source, progress=progress, logs=logs)
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
        total = max(pages.total * PAGE, int(missing > 0))
        lost = max(pages.absent * PAGE, int(missing > 0))
        return DumpedMemory(total, total - lost, (), "page maps", {})

    @functools.cached_property
    def identity(self) -> Identity:
        """The archive's hash, and when the runtime says that it was taken."""
        from memir.case.identity import Identity, clock_text

        taken = self.source.container.taken
        text = None if taken is None else clock_text(taken)
        return Identity(None, None, ((0, self.memory.frames * PAGE),), taken, self.memory.sha256(self._progress), text)

    def close(self) -> None:
        """Close the archive."""
        super().close()
        self.source.close()

    def facts(self, sha256: str | None = None) -> Facts:  # noqa: ARG002  (it is hashed in any case)
        """What a case records of the archive."""
        archive = self.source.archive
        return self._facts(FORMAT, "tar", archive.size, self.memory.frames, archive.missing)

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
    refuse_options(unused, f"{path} is {WHAT}, which has no kernel and no node")
    source = CheckpointSource(path)
    try:
        return CheckpointNode(source, progress=progress, logs=logs)
    except BaseException:
        source.close()
        raise
