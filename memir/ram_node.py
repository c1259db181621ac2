# SPDX-License-Identifier: Apache-2.0
"""A node as the RAM in an image has it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from memir.errors import no_kernel
from memir.node import Node, Progress
from memir.part_node import PartNode

if TYPE_CHECKING:
    from memir.case.identity import Identity
    from memir.case.record import Facts
    from memir.findings.look import ImageFacts
    from memir.hunt.hunt import Hunt, Options
    from memir.hunt.rules import RuleSet
    from memir.image.memory import PhysicalMemory
    from memir.kernel.ram import Coverage
    from memir.kernel.smear import Smear
    from memir.kube.ram import RamSource
    from memir.logs.stream import LogPath


class RamNode(Node):
    """All of a node: its kernel, and every pod on it."""

    def __init__(
        self, source: RamSource, *, cluster: str | None = None, progress: Progress | None = None,
        logs: Sequence[LogPath] = (),
    ) -> None:  # fmt: skip
        """source: what tables are read from; cluster: where the API's view came from; logs: files and folders.

        LogsError for a log that is not there.
        """
        self.source = source
        self.cluster = cluster
        self._setup(progress, logs)

    @property
    def memory(self) -> PhysicalMemory:
        """The image's physical memory."""
        memory: Any = self.source.kernel.memory
        return memory  # type: ignore[no-any-return]  # a kernel may also be that of a running volatility3

    @property
    def coverage(self) -> Coverage:
        """How much of the node's System RAM the image holds, by the kernel's own account."""
        return self.source.coverage

    @functools.cached_property
    def identity(self) -> Identity:
        """Which image this is: build id, boot id, ranges, the image's own clock."""
        from memir.case.identity import read_identity

        return read_identity(self.source.kernel, None, self._progress)

    def facts(self, sha256: str | None = None) -> Facts:
        """What a case records of the image. sha256: of the file, where it was hashed."""
        from memir.case.facts import facts_of

        return facts_of(self.source.kernel, sha256=sha256)

    def smear(self) -> Smear | None:
        """Over how long the image was read; None where it was not running meanwhile."""
        return self.source.smear

    def _image_facts(self) -> ImageFacts:
        """What detections ask of the image as a whole."""
        from memir.findings.facts import facts_of

        return facts_of(self.source)

    def _scan(self, rules: RuleSet, options: Options) -> Hunt:
        """Scan all that `options` asks for."""
        from memir.hunt.hunt import hunt

        return hunt(self.source.kernel, rules, options, node=self.source, progress=self._progress)

    def close(self) -> None:
        """Close the image."""
        super().close()
        self.memory.close()

    def __repr__(self) -> str:
        from memir.text import safe

        name = safe(self.name or "name not known")
        release, path = safe(self.anchors.release), safe(str(self.memory.path))
        return f"<memir.Node {name}, Linux {release} {self.anchors.arch}, {path}>"


def of_ram(node: Node) -> RamNode:
    """The node, for what only a kernel's RAM tells. UsageError for a checkpoint or a collected pod."""
    if isinstance(node, RamNode):
        return node
    what = node.what if isinstance(node, PartNode) else "no image of RAM"
    raise no_kernel(node.memory.path, what)
