# SPDX-License-Identifier: Apache-2.0
"""The table `threads`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.checkpoint.rows import thread_rows
from memir.collected import rows as collected
from memir.kernel import kthread
from memir.kernel.sched import WITNESSES
from memir.kube.processes import text
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns, frame_of

if TYPE_CHECKING:
    from memir.checkpoint.source import CheckpointSource
    from memir.collected.source import CollectedSource

COLUMNS = columns("""
    tid              int32        thread id in the node's initial pid namespace, as /proc/PID/task has it
    pid              int32        its process: thread group id
    comm             string       its own name, as /proc/PID/task/TID/comm shows it, other bytes as backslash escapes
    state            string       scheduler state as ps shows it: R S D T t Z X I P
    seen_by          list<string> witnesses of the task: tasks (task list), pids (pid IDR), threads, children, ...
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Every task of the node, main threads too, in the order of their ids."""
    threads = source.processes.threads
    # a few sets of witnesses stand for all threads
    seen = np.column_stack([threads.seen[name] for name in WITNESSES])
    patterns, which = np.unique(seen, axis=0, return_inverse=True)
    sets = [[name for name, saw in zip(WITNESSES, pattern, strict=True) if saw] for pattern in patterns.tolist()]
    names = kthread.names(source.kernel, threads.task, threads.flags.astype(np.uint64), threads.comm)
    return Frame(
        {
            "tid": threads.pid,
            "pid": threads.tgid,
            "comm": [None if name is None else text(name) for name in names],
            "state": threads.state,
            "seen_by": [sets[row] for row in which.tolist()],
            "source": ["task_struct"] * len(threads),
        },
        keys=threads.task,
    )


def read_checkpoint(source: CheckpointSource) -> Frame:
    """The same of a checkpoint's container."""
    return frame_of(COLUMNS, source.gaps, thread_rows(source))


def read_collected(source: CollectedSource) -> Frame:
    """The same of a collected pod."""
    return frame_of(COLUMNS, source.gaps, *collected.thread_rows(source))


TABLE = Table(
    "threads", "Every thread of the node, main threads too.", COLUMNS, "task",
    {"ram": read, "checkpoint": read_checkpoint, "pod": read_collected},
)  # fmt: skip
