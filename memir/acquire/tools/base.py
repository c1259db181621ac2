# SPDX-License-Identifier: Apache-2.0
"""A tool: a program or module that writes a node's RAM to a FIFO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from memir.acquire.facts import NodeFacts, NodeRun
from memir.acquire.transports.base import Result
from memir.evidence.plan import Check, Format, Trace


@dataclass(frozen=True, slots=True)
class ToolFile:
    """One file that goes to the node: its local path, name there, and pinned hash."""

    source: Path
    name: str
    sha256: str
    size: int
    mode: int = 0o700


class Tool(Protocol):
    """Writes the node's RAM to a FIFO."""

    name: str
    version: str
    format: Format
    files: tuple[ToolFile, ...]

    def check(self, facts: NodeFacts) -> Sequence[Check]:
        """Whether it can work on this node (lockdown, vermagic, signatures), before anything is changed."""
        ...

    def probe(self, run: NodeRun) -> str:
        """A script that asks the tool on the node for its command line (`avml --help`).

        "" if there is no need.
        """
        ...

    def learn(self, result: Result) -> None:
        """Take in the probe's answer. Raises NodeError if the tool cannot be used."""
        ...

    def command(self, run: NodeRun) -> str:
        """The shell command that writes the stream to `run.fifo` and exits with the tool's own code."""
        ...

    def cleanup(self, run: NodeRun) -> str:
        """A script that undoes what `command` may leave loaded (rmmod); "" if nothing."""
        ...

    def explain(self, code: int | None, log: str) -> str:
        """What an exit code and the tool's own words mean, and what to do."""
        ...

    def traces(self) -> Sequence[Trace]:
        """What running it leaves."""
        ...
