# SPDX-License-Identifier: Apache-2.0
"""Waiting for what another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable

BOUND = 600.0
"""Seconds after which a test that would wait for ever is ended; nothing is measured with it."""


def until(happened: Callable[[], object], story: Callable[[], object] = str) -> None:
    """Wait until `happened()` is true. story: what to show where it never is."""
    end = time.monotonic() + BOUND
    while not happened():
        assert time.monotonic() < end, story()
        time.sleep(0.05)
