# SPDX-License-Identifier: Apache-2.0
"""A pod as `memir collect pod` wrote it, with the face of a node: tables, SQL, hunts, findings, case."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.collected.cores import PAGE, Cores
from memir.collected.source import WHAT, CollectedSource
from memir.kernel.ram import Coverage
from memir.node import Progress
from memir.part_node import PartNode, refuse_options

if TYPE_CHECKING:
    from memir.case.identity import Identity
    from memir.case.record import Facts
    from memir.findings.look import ImageFacts
    from memir.hunt.hunt import Hunt, Options
    from memir.hunt.rules import RuleSet
    from memir.logs.stream import LogPath

FORMAT = "collected pod"


@dataclass(frozen=True)
class CollectedMemory(Coverage):
    """How much of the processes' memory was collected."""

    def text(self) -> str:
        """One line for people."""
        return f"{self.present:,} bytes of memory of the pod's processes are in the collection"

    @property
    def share(self) -> float:
        """1.0 where the collection is whole: what it lacks is in the gaps."""
        return self.present / self.total if self.total else 1.0


class CollectedNode(PartNode):
    """One pod of a node."""

    source: CollectedSource
    what = WHAT
    lacking = "a collected pod does not hold what it is of"

    @functools.cached_property
    def memory(self) -> Any:
        """The cores of its processes."""
        return Cores(self.source)

    @property
    def name(self) -> str | None:
        """The node's name."""
        return self.source.name

    @functools.cached_property
    def coverage(self) -> Coverage:
        """The bytes of memory that are there; not whole where the collection was partial."""
        present = self.memory.total * PAGE
        lost = int(self.source.receipt.status != "complete")
        return CollectedMemory(present + lost, present, (), "receipt.json", {})

    @functools.cached_property
    def identity(self) -> Identity:
        """The node's boot, when the collection ended, and the manifest's hash."""
        from memir.case.identity import Identity, clock_text

        taken = moment(self.source.receipt.finished)
        text = None if taken is None else clock_text(taken)
        boot = self.source.receipt.node.boot_id or None
        ranges = ((0, self.memory.frames * PAGE),)
        return Identity(None, boot, ranges, taken, self.source.digest, text)

    def facts(self, sha256: str | None = None) -> Facts:  # noqa: ARG002  (the manifest is hashed in any case)
        """What a case records of the collection."""
        return self._facts(FORMAT, "folder", self.source.receipt.collection.bytes, self.memory.total)

    def _image_facts(self) -> ImageFacts:
        from memir.findings.look import ImageFacts
        from memir.kernel.timekeeping import utc

        taken = self.identity.clock
        seconds = self.source.receipt.collection.seconds
        return ImageFacts(tuple(self.gaps), self.name, None if taken is None else utc(taken), seconds, "")

    def _scan(self, rules: RuleSet, options: Options) -> Hunt:
        from memir.hunt.collected import hunt_collected

        return hunt_collected(self.source, self.memory, rules, options, progress=self._progress)

    def __repr__(self) -> str:
        from memir.text import safe

        pod = self.source.receipt.collection.pod
        return f"<memir.Node, collected pod {safe(pod.namespace)}/{safe(pod.name)}, {safe(str(self.source.path))}>"


def moment(text: str) -> int | None:
    """Nanoseconds since 1970 UTC of ISO 8601 text; None for what is none."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    since = parsed - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def open_collected(
    path: str | Path,
    *,
    logs: Sequence[LogPath] = (),
    progress: Progress | None = None,
    unused: Mapping[str, Any] | None = None,
) -> CollectedNode:
    """Open a folder of a collected pod. unused: options for RAM by name, of which none may be given.

    CustodyError if the folder cannot be used, UsageError for such an option.
    """
    refuse_options(unused, f"{path} is {WHAT}, which has no kernel")
    return CollectedNode(CollectedSource(path), progress=progress, logs=logs)
