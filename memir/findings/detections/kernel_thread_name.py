# SPDX-License-Identifier: Apache-2.0
"""A program that calls itself like a thread of the kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, Row, where

_THREAD = re.compile(
    r"(kworker|kthread|ksoftirqd|kswapd|kdevtmpfs|khugepaged|kcompactd|kauditd|khungtaskd|kblockd|oom_reaper)"
    r"|(migration|cpuhp|idle_inject|watchdog)/\d+|rcu_(gp|par_gp|sched|preempt|bh|tasks\w*)|irq/\d+|jbd2/|scsi_eh_\d"
)
"""What names of the kernel's own threads begin with (kernel/kthread.c and its callers)."""


def _find(look: Look) -> Iterator[Match]:
    for row in look.rows("processes"):
        if row["kernel_thread"] or row["exe"] is None:
            continue
        name = _forged(row)
        if name is None:
            continue
        known = _THREAD.match(name.strip("[]./")) is not None
        yield Match(
            "high" if known else "medium",
            "the kernel has threads of this name, and they run no file"
            if known
            else "ps shows brackets around names of the kernel's threads alone, though not this one's",
            f"pid {row['pid']} {short(row['comm'])} ({where(row)}) is named like a kernel thread ({short(name)}), "
            f"but runs {short(row['exe'])}",
            row, (Proof("processes", f"pid = {row['pid']}"),), row["exe"],
        )  # fmt: skip


def _forged(row: Row) -> str | None:
    """The name that looks like a thread's: the command line's first word, or the task's name."""
    first = (row["args"] or [""])[0]
    if re.fullmatch(r"\[.*\]", first, re.DOTALL):
        return str(first)
    return str(row["comm"]) if _THREAD.match(row["comm"] or "") else None


DETECTION = Detection(
    kind="kernel-thread-name",
    title="Program named like a thread of the kernel",
    how="A process with a program of its own has the name of a kernel thread, or a command line in brackets as ps "
    "shows "
    "those. High if the kernel has threads of this name, else medium.",
    technique="T1036.005",
    tables=("processes",),
    find=_find,
    why="Someone who lists processes passes over names of kernel threads; only intruders gain by it.",
    check_next=("the program itself: its path, whether it is deleted, its connections",),
    benign=("Celery and others write their state in brackets as their command line",),
    missed=("a forged name of something else: a daemon of the node, a program of the image",),
    gaps=("exe", "args"),
)
