# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Whose each row of a volatility3 plugin is, by what its columns are called: tasks, sockets, inodes, namespaces, pids.

A column that names one object goes before one whose numbers repeat: a task's address before its pid, an inode before
its file system. A row that the first says nothing of is asked for by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from memir.kube.owner import OwnerBatch, Owners
from memir.volatility.output import Cell, Kind

POD_COLUMNS = ("pod_name", "namespace", "container_name", "container_id")
_ADDRESS = {
    "offset (v)": "task", "offset": "task", "task": "task", "task offset": "task", "task_struct": "task",
    "sock offset": "sock", "inodeaddr": "inode", "inode address": "inode", "superblockaddr": "superblock",
}  # fmt: skip
"""Columns of kernel addresses, by what lies there."""
_PHYSICAL = ("pagepaddr",)
_PIDS = ("pid", "tgid", "process id", "tid")
_NAMESPACES = ("mnt_ns_id", "netns", "net ns", "ns")
_POD_IPS = ("source addr", "local addr", "ip")
_ORDER = ("task", "sock", "inode", "address", "pid", "namespace", "superblock", "pod_ip")


@dataclass(frozen=True)
class PluginColumn:
    """A column and how its values are meant: int, hex, float, bool, string, bytes (hex digits) or time."""

    name: str
    kind: Kind


def with_pods(
    columns: tuple[PluginColumn, ...],
    rows: list[tuple[Cell, ...]],
    owners: Owners,
    canonicalize: Callable[[int], int],
) -> tuple[tuple[PluginColumn, ...], list[tuple[Cell, ...]]]:
    """Columns and rows with POD_COLUMNS behind them; as they are if none of the columns says whose rows are.

    canonicalize: gives an address of the kernel's layer the upper bits that volatility3 leaves out. What several
    containers of a pod own has the pod's name and no container's, what several pods own has none.
    """
    names = [column.name.casefold() for column in columns]
    if not {name.casefold() for name in POD_COLUMNS}.isdisjoint(names):
        return columns, rows
    batches = [
        owners.by(kind, [_key(kind, row[column], canonicalize) for row in rows])
        for kind, column in sorted(_witnesses(names), key=lambda pair: _ORDER.index(pair[0]))
    ]
    if not batches:
        return columns, rows
    told = [_told(batch) for batch in batches]
    nobody = (None,) * len(POD_COLUMNS)
    more = [
        next((answer[row] for batch, answer in zip(batches, told, strict=True) if batch[row]), nobody)
        for row in range(len(rows))
    ]
    wider = (*columns, *(PluginColumn(name, "string") for name in POD_COLUMNS))
    return wider, [row + pod for row, pod in zip(rows, more, strict=True)]


def _witnesses(names: Sequence[str]) -> list[tuple[str, int]]:
    """(by what Owners is asked, number of the column) of the columns that say whose a row is."""
    every = [(_ADDRESS[name], column) for column, name in enumerate(names) if name in _ADDRESS]
    for kind, known in (("address", _PHYSICAL), ("pid", _PIDS), ("namespace", _NAMESPACES), ("pod_ip", _POD_IPS)):
        every += [(kind, names.index(name)) for name in known if name in names][:1]
    return every


def _key(kind: str, cell: Cell, canonicalize: Callable[[int], int]) -> Any:
    if kind == "pod_ip":
        return cell if isinstance(cell, str) else None
    if not isinstance(cell, int) or isinstance(cell, bool) or not 0 < cell < 1 << 64:
        return 0
    return cell if kind in ("address", "pid", "namespace") else canonicalize(cell)


def _told(batch: OwnerBatch) -> list[tuple[str | None, ...]]:
    owned = batch.columns()
    return list(zip(*(owned[name].to_pylist() for name in POD_COLUMNS), strict=True))
