# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""memir's tables as volatility3's tree grids."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from volatility3.framework import renderers
from volatility3.framework.renderers import format_hints

from memir.model import TABLES
from memir.text import safe

_HEX = {"task", "cap_effective", "paddr", "vaddr"}
_TYPES: dict[str, type[Any]] = {
    "string": str, "list<string>": str, "list<int32>": str, "int32": int, "int64": int, "uint32": int, "uint64": int,
    "bool": bool, "timestamp": datetime.datetime,
}  # fmt: skip


def grid(table: str, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Any:
    """A TreeGrid of some columns of one of memir's tables; what is not known is NotAvailable."""
    kinds = {column.name: column.type for column in TABLES[table]}
    heads = [(name, format_hints.Hex if name in _HEX else _TYPES[kinds[name]]) for name in columns]

    def generate() -> Iterator[tuple[int, tuple[Any, ...]]]:
        for row in rows:
            yield 0, tuple(_cell(row[name], kind) for name, kind in heads)

    return renderers.TreeGrid(heads, generate())


def _cell(value: Any, kind: type[Any]) -> Any:
    if value is None:
        return renderers.NotAvailableValue()
    if isinstance(value, list):
        return safe(" ".join(str(one) for one in value))
    if kind is datetime.datetime:
        return datetime.datetime.fromtimestamp(value / 1e9, datetime.UTC)
    return safe(value) if kind is str else kind(value)
