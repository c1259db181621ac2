# SPDX-License-Identifier: Apache-2.0
"""Lists of physical address ranges: merge, subtract, intersect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Range = tuple[int, int]
"""Physical addresses, first and one past the last."""


def merge(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Sort and join what touches or overlaps."""
    out: list[Range] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return tuple(out)


def subtract(ranges: Sequence[Range], away: Sequence[Range]) -> tuple[Range, ...]:
    """What of `ranges` is not in `away`; both merged and in order."""
    out: list[Range] = []
    index = 0
    for start, end in ranges:
        while index < len(away) and away[index][1] <= start:
            index += 1
        low, i = start, index
        while i < len(away) and away[i][0] < end:
            if away[i][0] > low:
                out.append((low, away[i][0]))
            low = max(low, away[i][1])
            i += 1
        if low < end:
            out.append((low, end))
    return tuple(out)


def intersect(ranges: Sequence[Range], others: Sequence[Range]) -> tuple[Range, ...]:
    """What is in both; both merged and in order."""
    return subtract(ranges, subtract(ranges, others))


def total(ranges: Iterable[Range]) -> int:
    """Bytes in the ranges."""
    return sum(end - start for start, end in ranges)


def show(ranges: Sequence[Range], most: int = 4) -> str:
    """The ranges in words, the first few."""
    words = [f"{start:#x}-{end - 1:#x}" for start, end in ranges[:most]]
    rest = len(ranges) - most
    return ", ".join(words) + (f" and {rest} more" if rest > 0 else "")
