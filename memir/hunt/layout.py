# SPDX-License-Identifier: Apache-2.0
"""How units are laid out for YARA: which of them go together, and where empty pages stand for what is left out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from memir.hunt.hit import ABSENT
from memir.hunt.units import Unit
from memir.kernel.pagetable import U64

BORDER = np.array([ABSENT])
"""The empty page between two units that are scanned as one piece: no string runs from one into the other."""


def batches(units: Iterable[Unit], pages: int) -> list[list[Unit]]:
    """Units in the order in which they are scanned: long ones first, so that no thread ends alone with one; those of
    less than `pages` pages together, up to as many."""
    ordered = sorted((unit for unit in units if len(unit.pfn)), key=lambda unit: -len(unit.pfn))
    result: list[list[Unit]] = []
    room = 0
    for unit in ordered:
        if len(unit.pfn) * 2 > pages or len(unit.pfn) > room:
            result.append([])
            room = pages if len(unit.pfn) * 2 <= pages else 0
        result[-1].append(unit)
        room -= len(unit.pfn)
    return result


def collapse(unit: Unit) -> U64:
    """The unit's frames with one empty page (ABSENT) for every stretch of absent or empty ones."""
    place, count = unit.place, len(unit.place)
    if count == unit.span:
        return unit.pfn
    first, last = int(place[0]), int(place[-1])
    if last - first + 1 == count:  # one piece, as most files are: there are tens of thousands
        return np.concatenate([BORDER] * (first > 0) + [unit.pfn] + [BORDER] * (last < unit.span - 1))
    gap = np.concatenate(([place[0] > 0], np.diff(place) != 1))
    slot = np.arange(len(place)) + np.cumsum(gap)
    slots = np.full(int(slot[-1]) + 1 + int(place[-1] < unit.span - 1), ABSENT, np.uint64)
    slots[slot] = unit.pfn
    return slots
