# SPDX-License-Identifier: Apache-2.0
"""How far long work is: one passing line on standard error, with rate and time left; nothing if that is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Literal

from memir.text import status

EVERY = 0.1
"""Seconds between two lines: more often is read by nobody and costs a write each."""
SETTLED = 2.0
"""Seconds before a rate is told: earlier it jumps, and so would the time left."""
_BYTES = 1 << 20  # a total from here on counts bytes; images, tables and rows are fewer


class ProgressLine:
    """Called as `line(what, done, total)`; total 0: not known. Several names beside each other share the line."""

    def __init__(self, *, shown: bool | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.shown = sys.stderr is not None and sys.stderr.isatty() if shown is None else shown
        self._clock = clock
        self._begun: dict[str, tuple[str, float, int]] = {}
        self._parts: dict[str, str] = {}
        self._last = 0.0

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        self.wipe()
        return False

    def __call__(self, what: str, done: int, total: int, name: str = "") -> None:
        """Show that `done` of `total` are done; name: of which of several works."""
        if not self.shown:
            return
        now = self._clock()
        begun = self._begun.get(name)
        if begun is None or begun[0] != what or done < begun[2]:
            begun = self._begun[name] = (what, now, done)
        self._parts[name] = f"{name} {words(what, done, total, done - begun[2], now - begun[1])}".strip()
        if total and done >= total:
            self._parts.pop(name)
        if now - self._last >= EVERY or not self._parts:
            self._last = now
            status("  |  ".join(self._parts.values()))

    def wipe(self) -> None:
        """Take the line away, before something is printed."""
        if self.shown and self._last:
            status("")
            self._last = 0.0


def words(what: str, done: int, total: int, moved: int, seconds: float) -> str:
    """One work in words: `hunting 45 %, 812 MiB/s, 1:05 left`. moved: how much of done took these seconds."""
    counted = total < _BYTES if total else done < _BYTES
    parts = [f"{100 * done // total} %" if total else str(done) if counted else f"{done >> 20} MiB"]
    if counted and total:
        parts = [f"{done} of {total}"]
    if seconds >= SETTLED and moved > 0:
        rate = moved / seconds
        parts.append(f"{rate:.1f}/s" if counted else f"{rate / (1 << 20):.0f} MiB/s")
        if total > done:
            parts.append(f"{_duration((total - done) / rate)} left")
    return f"{what} {', '.join(parts)}"


def _duration(seconds: float) -> str:
    whole = int(seconds + 0.5)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
