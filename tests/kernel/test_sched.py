# SPDX-License-Identifier: Apache-2.0
"""Every task by six witnesses: against /proc, and on an image from which tasks were hidden."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.gaps import Gap, Gaps
from memir.kernel import sched
from memir.kernel.engine import Kernel
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols.locate import locate
from tests.images import case

NodeOf = Callable[[str], RamSource]


def test_every_process_of_proc(node_of: NodeOf, image: str) -> None:
    found = sched.tasks(node_of(image).kernel)
    leaders = found.select(found.leader)
    number = dict(zip(leaders.pid.tolist(), range(len(leaders)), strict=True))
    compared = 0
    for pid, truth in case(image).recorded().items():
        if pid not in number:
            continue
        at = number[pid]
        compared += 1
        assert int(leaders.ppid[at]) == truth.ppid, pid
        assert int(leaders.tgid[at]) == pid
        threads = int((found.tgid == pid).sum())
        assert threads == truth.threads, pid
    assert compared >= len(case(image).recorded()) - 5
    assert np.all(np.diff(found.pid) >= 0)


def test_witnesses(node_of: NodeOf, image: str) -> None:
    """Threads are on no task list; a process is on all lists but those that it was taken from."""
    found = sched.tasks(node_of(image).kernel)
    assert tuple(found.seen) == sched.WITNESSES
    hidden = {one["pid"]: set(one["hidden_from"]) for one in case(image).labels()["processes"] if one["hidden_from"]}
    for at in np.flatnonzero(found.leader).tolist():
        pid = int(found.pid[at])
        missing = {name for name in ("tasks", "pids", "slab") if not found.seen[name][at]}
        assert missing == hidden.get(pid, set()) & {"tasks", "pids"}, pid
    threads = ~found.leader
    assert threads.any() and not found.seen["tasks"][threads].any()


def test_states_and_names() -> None:
    memory = case("s-5.10-small-v1").open()
    kernel = Kernel(memory, locate(memory))
    found = sched.tasks(kernel)
    recorded = case("s-5.10-small-v1").recorded()
    names = {int(pid): comm for pid, comm, leader in zip(found.pid, found.comm, found.leader, strict=True) if leader}
    assert names[1] == b"init2" == recorded[1].comm.encode()
    states = {int(pid): state for pid, state in zip(found.pid, found.state, strict=True)}
    assert states[1] == "S"
    assert set(found.state) <= set("RSDTtXZPI")
    assert "I" in states.values()  # workers that wait for work are idle, not asleep


def test_plausible(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    kernel, task = node.kernel, node.processes.task
    assert sched.plausible(kernel, task).all()
    assert not sched.plausible(kernel, task + np.uint64(64)).any()
    assert sched.plausible(kernel, u64(0)).tolist() == [False]
    assert sched.usage_member(kernel) == "usage.refs.counter"


def test_incomplete() -> None:
    """Gaps of a walk over tasks say that some may be missing; others do not."""
    gaps = Gaps()
    gaps.add("exe", "0x1", "x")
    assert not sched.incomplete(gaps)
    for kind in ("task", "task list", "pid IDR", "task in a css_set"):
        assert sched.incomplete([Gap(kind, "0x1", "not readable", 1)])
