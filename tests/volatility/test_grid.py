# SPDX-License-Identifier: LicenseRef-VSL-1.0
"""Cells of memir's tables as volatility3 shows them."""

from __future__ import annotations

import datetime
from typing import Any

from volatility3.framework import renderers
from volatility3.framework.renderers import format_hints

from memir.kube.ram import RamSource
from memir.tables.table import tables
from memir.volatility.grid import grid
from tests.images import case


def rows_of(tree: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    tree.populate(lambda node, _: rows.append(tuple(node.values)))
    return rows


def test_columns_have_volatilitys_types(small_node: RamSource) -> None:
    table = tables()["processes"]
    names = ("pid", "comm", "exe_deleted", "start_time", "args", "task")
    tree = grid(table, table.read(small_node), names)
    kinds = [int, str, bool, datetime.datetime, str, format_hints.Hex]
    assert [(column.name, column.type) for column in tree.columns] == list(zip(names, kinds, strict=True))


def test_cells_are_those_of_the_recording(small_node: RamSource) -> None:
    table = tables()["processes"]
    rows = rows_of(grid(table, table.read(small_node), ("pid", "comm", "args", "start_time", "task")))
    recorded = case("s-6.1-small").recorded()
    # the recorder itself has ended, and kernel workers are named after what they did last
    recorded = {
        pid: process for pid, process in recorded.items() if not process.kernel_thread and process.comm != "truth"
    }
    assert {row[0] for row in rows} >= set(recorded)
    for pid, comm, args, start, task in rows:
        if pid not in recorded:
            continue
        assert comm == recorded[pid].comm
        assert isinstance(start, datetime.datetime)
        assert int(task) >= 1 << 63
        if recorded[pid].args:
            assert args == " ".join(recorded[pid].args or [])


def test_what_is_not_known_is_not_available(small_node: RamSource) -> None:
    table = tables()["processes"]
    frame = table.read(small_node)
    rows = rows_of(grid(table, frame, ("pid", "pod_name")))
    without = {pid for pid, name in rows if isinstance(name, renderers.NotAvailableValue)}
    pods = dict(zip(frame["pid"].to_pylist(), frame["pod_name"].to_pylist(), strict=True))
    assert without == {pid for pid, name in pods.items() if name is None}
    assert {name for pid, name in rows if pid not in without} == {"web-7d4b9c6f5-abcde", "miner-0", "agent-x9z2k"}
