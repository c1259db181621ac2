# SPDX-License-Identifier: Apache-2.0
"""Names of kernel threads as /proc shows them; a process that calls itself one keeps its own name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel import kthread, sched
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.images import case
from tests.kernel.fake import fake_kernel

NodeOf = Callable[[str], RamSource]


def names_of(node: RamSource) -> tuple[sched.Tasks, list[bytes | None]]:
    found = sched.tasks(node.kernel)
    leaders = found.select(found.leader)
    return leaders, kthread.names(node.kernel, leaders.task, leaders.flags.astype(np.uint64), leaders.comm)


def test_names_are_those_of_proc(node_of: NodeOf, image: str) -> None:
    """What a worker works on may have changed since it was recorded: its own name has not."""
    tasks, names = names_of(node_of(image))
    recorded = case(image).recorded()
    threads = described = longer = 0
    for pid, name, comm in zip(tasks.pid.tolist(), names, tasks.comm, strict=True):
        truth = recorded.get(pid)
        if truth is None or not truth.kernel_thread:
            continue
        assert name is not None and comm is not None
        shown, own = truth.comm, name.decode()
        threads += 1
        if shown.startswith("kworker/") and not shown.startswith("kworker/R-"):
            assert own.split("-")[0].split("+")[0] == shown.split("-")[0].split("+")[0], pid
            described += own != comm.decode()
        else:
            assert own == shown, pid
            longer += len(own) > 15
    assert threads > 30 and described > 3
    assert (longer > 0) == node_of(image).kernel.types.has("kthread", "full_name")


def test_processes_keep_their_names(node_of: NodeOf, image: str) -> None:
    """Also one that calls itself kworker/u8:3, which every small image has."""
    tasks, names = names_of(node_of(image))
    user = np.flatnonzero((tasks.flags & kthread.PF_KTHREAD) == 0).tolist()
    assert [names[row] for row in user] == [tasks.comm[row] for row in user]
    pretenders = {int(tasks.pid[row]) for row in user if (names[row] or b"").startswith(b"kworker/")}
    recorded = case(image).recorded().items()
    assert pretenders == {
        pid for pid, truth in recorded if not truth.kernel_thread and truth.comm.startswith("kworker/")
    }
    assert pretenders or not case(image).small


def test_what_is_no_thread_gets_no_name(node_of: NodeOf) -> None:
    """Flags that claim a kernel thread at an address that holds none."""
    kernel = node_of("s-6.1-small").kernel
    flags = u64(kthread.PF_KTHREAD | kthread.PF_WQ_WORKER, kthread.PF_KTHREAD)
    assert kthread.names(kernel, u64(0, 0x1000), flags, [b"a", None]) == [b"a", None]


def test_without_types_of_threads() -> None:
    assert kthread.names(fake_kernel({}), u64(1), u64(kthread.PF_KTHREAD), [b"kthreadd"]) == [b"kthreadd"]
