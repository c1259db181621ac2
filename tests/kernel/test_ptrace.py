# SPDX-License-Identifier: Apache-2.0
"""Tracers: as /proc/PID/status has them, and those of a node in which one traces another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kernel.ptrace import tracers
from memir.kube.ram import RamSource
from tests.injected import pid_of, task_of, traced, with_members
from tests.kernel.hooked import IMAGES
from tests.status import status

NodeOf = Callable[[str], RamSource]


def test_as_recorded(image: str, node_of: NodeOf) -> None:
    node, truth = node_of(image), status(image)
    found = dict(zip(node.processes.threads.pid.tolist(), tracers(node.kernel, node.processes.threads.task).tolist(),
                     strict=True))  # fmt: skip
    both = found.keys() & truth.keys()
    assert {pid: found[pid] for pid in both} == {pid: int(truth[pid]["TracerPid"]) for pid in both}
    assert len(both) >= (0 if image.startswith("node-") else 10) and set(found.values()) == {0}


@pytest.mark.parametrize("name", IMAGES)
def test_traced(name: str, node_of: NodeOf) -> None:
    clean = node_of(name)
    tracer = pid_of(clean, "secretd")
    node = traced(clean, 1, tracer)
    found = tracers(node.kernel, node.processes.task).tolist()
    pids = [process.pid for process in node.processes.rows]
    assert {pid: by for pid, by in zip(pids, found, strict=True) if by} == {1: tracer}
    assert node.processes.rows[0].ppid == 0  # the parent by ptrace is not the parent


def test_tracer_that_cannot_be_read(node_of: NodeOf) -> None:
    node = with_members(traced(node_of(IMAGES[1]), 1, pid_of(node_of(IMAGES[1]), "secretd")),
                        {(task_of(node_of(IMAGES[1]), 1), "task_struct", "parent"): 0x1000})  # fmt: skip
    assert tracers(node.kernel, node.processes.task)[0] == -1
    assert [gap.count for gap in node.gaps if gap.kind == "tracer"] == [1]
