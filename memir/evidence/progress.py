# SPDX-License-Identifier: Apache-2.0
"""How far a long reading or writing is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Bytes stored, bytes expected at most (0 not known), bytes a second, words for the phase.
    """

    done: int
    expected: int
    rate: float
    phase: str


Report = Callable[[Progress], None]
