# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""memir's tables as volatility3's tree grids."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

from volatility3.framework import renderers
from volatility3.framework.renderers import format_hints

from memir.tables.frame import Frame
from memir.tables.table import Table
from memir.text import safe

_HEX = {"task", "cap_effective", "paddr", "vaddr"}
_TYPES: dict[str, type[Any]] = {
    "string": str, "list<string>": str, "list<int32>": str, "int32": int, "int64": int, "uint32": int, "uint64": int,
    "bool": bool, "timestamp": datetime.datetime,
}  # fmt: skip


def grid(table: Table, frame: Frame, columns: Sequence[str]) -> Any:
    """A TreeGrid of some columns of a frame of one of memir's tables; what is not known is NotAvailable."""
    kinds = {column.name: column.type for column in table.columns}
    heads = [(name, format_hints.Hex if name in _HEX else _TYPES[kinds[name]]) for name in columns]
    values = [frame[name].to_pylist() for name in columns]

    def generate() -> Iterator[tuple[int, tuple[Any, ...]]]:
        for row in zip(*values, strict=True):
            yield 0, tuple(_cell(value, kind) for value, (_, kind) in zip(row, heads, strict=True))

    return renderers.TreeGrid(heads, generate())


def _cell(value: Any, kind: type[Any]) -> Any:
    if value is None:
        return renderers.NotAvailableValue()
    if isinstance(value, list):
        return safe(" ".join(str(part) for part in value))
    if kind is datetime.datetime:
        return value
    return safe(value) if kind is str else kind(value)
