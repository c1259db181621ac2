# SPDX-License-Identifier: Apache-2.0
"""Sockets by the slab of their inodes: every one that a table or a descriptor has, and those that none has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from memir.kernel.engine import Kernel
from memir.kernel.sockfs import in_slab
from memir.kube.ram import RamSource
from memir.kube.sockets import sockets
from memir.symbols.table import Symbols
from tests.kernel import held

NodeOf = Callable[[str], RamSource]


def test_every_socket_of_a_process_lies_there(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    rows = node.sockets.rows
    mine = np.array(sorted(node.sockets.holders))
    found = in_slab(node.kernel, rows.socket[mine])
    # of MPTCP (Go listens by it) the socket's sock is the whole, and its subflows are rows too
    whole = node.kernel.pointer(rows.socket[mine], "socket", "sk") == rows.sock[mine]
    unshared = mine[whole & (rows.protocol[mine] != 262)]
    assert np.isin(rows.sock[unshared], found).all() and len(mine) > 3
    assert not len(in_slab(node.kernel, rows.socket[:0]))


def test_those_of_a_process_that_nobody_lists() -> None:
    """A family whose tables are not known, and no descriptor either: vsock of a process that is left out."""
    node, (record,) = held.node(), held.truth("vsock")
    kernel = node.kernel
    named = [(name, value) for name, value in kernel.symbols.items() if name != "net_families"]
    blind = Kernel(kernel.memory, replace(kernel.anchors, symbols=Symbols.from_pairs(named, "blind")))
    tasks = np.array([task for task in node.file_tasks.tolist() if node.pid_of[task] != record["pid"]], np.uint64)
    every = sockets(blind, tasks, node.net_namespaces, node.mapped_files, node.processes.threads.task)
    rows = {int(every.rows.inode[row]): row for row, table in enumerate(every.table) if table == "slab"}
    assert set(rows) == {record[name] for name in ("listener", "client", "server", "later")}
    assert every.rows.family[list(rows.values())].tolist() == [40] * 4 and not set(rows.values()) & set(every.holders)
    assert [gap.kind for gap in blind.gaps if gap.kind == "vsock"] == ["vsock"]
