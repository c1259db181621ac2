# SPDX-License-Identifier: Apache-2.0
"""What the user chose for a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from memir.acquire.session import GRACE
from memir.acquire.tools.store import Choice
from memir.evidence.plan import Format


@dataclass(frozen=True, slots=True)
class Options:
    """What the user chose. limit_rate: bytes a second, 0 none. sign_key: an Ed25519 private key. timestamp_url:
    an RFC 3161 authority. max_size: bytes that a node may send at most, 0 for what its RAM allows."""

    tool: Choice = "auto"
    tool_path: Path | None = None
    format: Format = "avml"
    grace: int = GRACE
    nice: int = 10
    limit_rate: int = 0
    node_hash: bool = True
    context: bool = True
    sign_key: Path | None = None
    isolating: bool = False
    who: str = ""
    command: Sequence[str] = ()
    case: str = ""
    timestamp_url: str = ""
    max_size: int = 0
