# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C while something is written that is worth more whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def held_back() -> Iterator[None]:
    """Within it a first Ctrl-C (or SIGTERM, SIGHUP) changes nothing; a second one acts as it would without.

    For work that takes seconds and keeps what took minutes. In another thread than the main one nothing is held back:
    Python gives signals to that alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    heeded = {number: handler for number, handler in before.items() if callable(handler)}
    seen: list[int] = []

    def handler(number: int, frame: Any) -> None:
        seen.append(number)
        if len(seen) > 1:
            heeded[signal.Signals(number)](number, frame)

    for number in heeded:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, usual in heeded.items():
            signal.signal(number, usual)
