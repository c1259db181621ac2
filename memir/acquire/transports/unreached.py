# SPDX-License-Identifier: Apache-2.0
"""A way to a node that cannot be used from here: for a dry run, which says why, and what a run would do and leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from memir.acquire.transports.base import Result, Stream, Transport
from memir.errors import MemirError
from memir.evidence.plan import Check, Step, Trace


class Unreached:
    """A transport's steps and traces; whatever needs the node raises why it cannot be reached."""

    def __init__(self, way: Transport, why: MemirError) -> None:
        self.kind, self.streams = way.kind, way.streams
        self._way, self._why = way, why

    def connect(self) -> None:
        """Raises why."""
        self._raise()

    def identity(self) -> Mapping[str, str]:
        """Nobody was reached."""
        return {}

    def check(self) -> Sequence[Check]:
        """Nothing can be looked at."""
        return ()

    def run(self, script: str, *, data: bytes = b"", timeout: float = 60.0, limit: int = 1 << 20) -> Result:
        """Raises why."""
        del script, data, timeout, limit
        self._raise()

    def open_stream(self, script: str, *, data: bytes = b"") -> Stream:
        """Raises why."""
        del script, data
        self._raise()

    def put(self, path: str, source: bytes | Path, *, mode: int = 0o600) -> None:
        """Raises why."""
        del path, source, mode
        self._raise()

    def steps(self) -> Sequence[Step]:
        """What the way would do."""
        return self._way.steps()

    def traces(self) -> Sequence[Trace]:
        """What the way would leave."""
        return self._way.traces()

    def reconnect(self) -> None:
        """Raises why."""
        self._raise()

    def close(self) -> None:
        """Nothing is open."""

    def _raise(self) -> NoReturn:
        raise self._why
