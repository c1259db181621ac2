# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C at a moment that bears none: while something is written that is worth more whole, a module is loaded, or a
finalizer runs.
"""

from __future__ import annotations

import atexit
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_AGAIN = 0.02
"""Seconds until it is looked whether a module is still being loaded, or a finalizer has ended."""
_waiting: list[int] = []
"""The signal that came while a module was loaded, or in a finalizer."""


def interrupt(number: int, frame: FrameType | None) -> None:
    """A handler of SIGINT, SIGTERM, SIGHUP: raises KeyboardInterrupt, after the import that it came into.

    What is raised in the middle of an import can end in native code that makes its types then and aborts the process
    (nanobind: "Critical nanobind error"). A second signal does not wait.
    """
    if not _waiting and _importing(frame):
        _later(number)
        return
    _waiting.clear()
    raise KeyboardInterrupt


def swallowed(unraisable: sys.UnraisableHookArgs) -> None:
    """A sys.unraisablehook: what `interrupt` raised in a finalizer, or a callback of the collector, is raised again.

    Python would say that it was ignored, and go on: whoever pressed Ctrl-C would have to press it again.
    """
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        _later(signal.SIGINT)
    else:
        sys.__unraisablehook__(unraisable)


def _later(number: int) -> None:
    _waiting.append(number)
    signal.signal(signal.SIGALRM, _raised_again)
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)  # Python's end takes the handler away before the timer
    signal.setitimer(signal.ITIMER_REAL, _AGAIN)


def _raised_again(_number: int, frame: FrameType | None) -> None:
    if not _waiting:
        return
    if _importing(frame):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
        return
    signal.raise_signal(_waiting.pop())  # to the handler of this moment: it may be held back by now


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


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
