# SPDX-License-Identifier: Apache-2.0
"""What several nodes share, as a person reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from memir.text import counted

_MOST = 200
"""Connections and shared things that are printed; --json has all."""


def across_lines(
    connections: Sequence[Mapping[str, Any]], shared: Sequence[Mapping[str, Any]], lacking: Mapping[str, Iterable[str]]
) -> Iterator[str]:
    """Lines: connections between the nodes, then the same thing on more than one, then what could not be compared."""
    seen, things = counted(len(connections), "connection"), counted(len(shared), "thing")
    yield f"Across the nodes: {seen} seen from both ends, {things} on more than one"
    for row in connections[:_MOST]:
        yield f"  {_end(row, 'from')} -> {_end(row, 'to')}  {row['state']}"
    if len(connections) > _MOST:
        yield f"  ... and {len(connections) - _MOST} connections more (--json)"
    for row in shared[:_MOST]:
        yield f"  {row['kind']} {row['value'][:24]} {row['name'] or ''}".rstrip()
        yield from (f"    {place}" for place in row["places"])
    if len(shared) > _MOST:
        yield f"  ... and {len(shared) - _MOST} things more (--json)"
    for case, tables in lacking.items():
        yield f"  not compared: {', '.join(tables)} of {case}, which the case has not"


def _end(row: Mapping[str, Any], which: str) -> str:
    place = "/".join(row[f"{which}_{part}"] for part in ("namespace", "pod", "container") if row[f"{which}_{part}"])
    pid = f" pid {row[f'{which}_pid']} {row[f'{which}_comm'] or ''}".rstrip() if row[f"{which}_pid"] is not None else ""
    return f"{row[f'{which}_case']}: {place or 'the node'}{pid} {row[f'{which}_address']} port {row[f'{which}_port']}"
