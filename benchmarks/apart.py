# SPDX-License-Identifier: Apache-2.0
"""Two sides of a benchmark on processors of their own, as if they were two machines."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


def sides(apart: bool) -> tuple[set[int], set[int]]:
    """The far side's processors (the first) and the near side's (the others); all for both if not apart."""
    every = sorted(os.sched_getaffinity(0))
    return (set(every[:1]), set(every[1:])) if apart else (set(every), set(every))


@contextlib.contextmanager
def processors(chosen: set[int]) -> Iterator[None]:
    """What is started within has only these; the benchmark itself gets its own back."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
