# SPDX-License-Identifier: Apache-2.0
"""What a run knows of its node."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeRun:
    """Where one run lives on the node: a private directory on tmpfs.

    alive: the watchdog removes everything when this file was not touched for `grace` seconds; run.py touches
    it over the transport, and a node-side uploader touches it whenever it makes progress.
    """

    run_id: str
    directory: str
    grace: int = 300

    def path(self, name: str) -> str:
        """Path of a file in the run's directory."""
        return f"{self.directory}/{name}"

    @property
    def fifo(self) -> str:
        """The FIFO that the tool writes to."""
        return self.path("stream")

    @property
    def alive(self) -> str:
        """The heartbeat file."""
        return self.path("alive")


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What preflight learned about the node (preflight.py fills it in)."""

    hostname: str = ""
    kernel: str = ""
    machine: str = ""
    boot_id: str = ""
    lockdown: str = "none"
    secure_boot: bool | None = None
    module_signatures_forced: bool | None = None
    kcore: bool = False
    uid: int = -1
    ram_bytes: int = 0
    free_bytes: int = 0
    swap: bool = False
    commands: frozenset[str] = frozenset()
    clock_offset: float = 0.0
    tmpfs: str = ""
    iomem: bytes = b""
    mem_total: int = 0
