# SPDX-License-Identifier: Apache-2.0
"""What the user said about a host that is reached by SSH."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STALL = 300.0


@dataclass(frozen=True, slots=True)
class SshTarget:
    """What the user said about the host; None means as ~/.ssh/config and the defaults say."""

    host: str
    port: int | None = None
    user: str | None = None
    identity: Path | None = None
    known_hosts: Path | None = None
    config: Path | None = None
    jump: str | None = None
    agent: bool = True
    timeout: float = 20.0
    stall: float = STALL
