# SPDX-License-Identifier: Apache-2.0
"""The pid IDR and the numbers of each task in every pid namespace, against /proc."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel import pid
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.images import case
from tests.injected import with_members

NodeOf = Callable[[str], RamSource]


def structs(node: RamSource) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return node.kernel.read(node.processes.task, "task_struct", "thread_pid").astype(np.uint64)


def test_numbers_are_those_of_proc(node_of: NodeOf, image: str) -> None:
    """NSpid, outermost first."""
    node = node_of(image)
    found = dict(zip([row.pid for row in node.processes.rows], pid.numbers(node.kernel, structs(node)), strict=True))
    recorded = {number: truth.nspid for number, truth in case(image).recorded().items() if number in found}
    assert len(recorded) > 30
    assert {number: found[number] for number in recorded} == recorded
    assert {len(nspid) for nspid in recorded.values()} >= {1, 2}


def test_namespaces_are_the_innermost(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    namespace = pid.namespace_of(node.kernel, structs(node))
    inum = node.kernel.read(namespace, "pid_namespace", "ns.inum")
    for row, number in zip(node.processes.rows, inum.tolist(), strict=True):
        truth = case(image).recorded().get(row.pid)
        if truth is not None and row.state not in "ZX":
            assert number == truth.namespaces["pid"], row.pid


def test_every_entry_of_the_idr_is_a_task(node_of: NodeOf, image: str) -> None:
    """From the initial namespace alone: what /proc lists; what was hidden from it after the capture is not there."""
    node = node_of(image)
    first = pid.namespace_of(node.kernel, structs(node)[[row.pid == 1 for row in node.processes.rows]])
    owner, number, entry = pid.pids(node.kernel, first)
    assert (owner == 0).all()
    task = pid.task_of(node.kernel, entry)
    of_task = node.kernel.read(task, "task_struct", "pid")
    assert np.array_equal(of_task[task != 0].astype(np.uint64), number[task != 0])
    hidden = {one["pid"] for one in case(image).labels()["processes"] if "pids" in one["hidden_from"]}
    listed = set(number.tolist())
    assert not hidden & listed
    here = {row.pid for row in node.processes.rows}
    assert {number for number in case(image).recorded() if number in here} - listed == hidden


def test_none(node_of: NodeOf) -> None:
    kernel = node_of("s-6.1-small").kernel
    assert pid.numbers(kernel, np.zeros(1, np.uint64)) == [[]]
    assert pid.namespace_of(kernel, u64(0)).tolist() == [0]
    assert pid.task_of(kernel, u64(0)).tolist() == [0]


def test_struct_pids_of_tasks(node_of: NodeOf, image: str) -> None:
    """Each task's own; one that the next task has already is none's."""
    node = node_of(image)
    task = node.processes.task
    assert pid.of_tasks(node.kernel, task).tolist() == structs(node).tolist()
    other = with_members(node, {(int(task[1]), "task_struct", "thread_pid"): int(structs(node)[2])})
    assert pid.of_tasks(other.kernel, task[:3]).tolist() == [int(structs(node)[0]), 0, int(structs(node)[2])]
    assert other.processes.rows[1].pids == []
    assert other.processes.rows[1].namespaces["pid"] == 0
