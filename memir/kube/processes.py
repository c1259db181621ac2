# SPDX-License-Identifier: Apache-2.0
"""One record a process: what the kernel's structures say of it, before anyone asks which pod it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memir.kernel import cgroup, cred, kthread, mm, nsproxy, own_pages, pid, sched, smear, timekeeping
from memir.kernel.cgroup import Hierarchies
from memir.kernel.engine import Kernel
from memir.kernel.mount import Mounts
from memir.kernel.pagetable import U64
from memir.kernel.rows import among, distinct, rows_of


@dataclass(frozen=True, slots=True)
class Process:
    """A thread group. None means not known; the columns are those of the table `processes`.

    namespaces: number by kind, 0 where the process has given it back. start: ns since 1970 UTC.
    pids: its number in every pid namespace, outermost first; empty where not known. hostname: of its UTS namespace.
    living_thread: of a process whose main thread has ended while others live, the thread (by number) that memory,
    credentials, namespaces and cgroups were read from; the main thread has given them back.
    """

    task: int
    pid: int
    ppid: int | None
    tgid: int
    comm: str | None
    args: list[str] | None
    environ: list[str] | None
    exe: str | None
    exe_deleted: bool | None
    start: int | None
    uid: int | None
    cap_effective: int | None
    seccomp: int | None
    pids: list[int]
    threads: int | None
    kernel_thread: bool
    state: str
    cgroups: Hierarchies | None
    namespaces: dict[str, int]
    hostname: str | None
    seen_by: list[str]
    living_thread: int | None = None

    @property
    def alive(self) -> bool:
        """Whether any of its threads still runs: a process whose main thread alone has ended does."""
        return self.state not in ENDED or self.living_thread is not None

    @property
    def source(self) -> str:
        """Where the row comes from, for the table's column."""
        if self.living_thread is None:
            return "task_struct"
        return f"task_struct; its main thread has ended: read from thread {self.living_thread}"

    @property
    def cgroup_path(self) -> str | None:
        """The cgroup that identifies it."""
        return self.cgroups.path() if self.cgroups else None


ENDED = "ZX"
"""States of a task that has ended: EXIT_ZOMBIE and EXIT_DEAD."""
_SECCOMP_LAST = 3  # SECCOMP_MODE_DEAD


def text(raw: bytes) -> str:
    """Bytes as text: UTF-8 where valid, other bytes as backslash escapes."""
    return raw.decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class ProcessList:
    """Processes in the order of their pids, with the addresses that further walks start from (uint64[n] each).

    task: main threads. living: the same, but where the main thread has ended a thread that lives: what has the
    process's memory, files and namespaces.
    """

    rows: list[Process]
    task: U64
    living: U64
    mnt_ns: U64
    threads: sched.Tasks


def processes(kernel: Kernel, mounts: Mounts) -> ProcessList:
    """Every process of the node. A thread is never one: threads without their main thread are a counted gap."""
    every = sched.tasks(kernel)
    leaders = every.select(every.leader)
    without = distinct(every.tgid[~among(every.tgid, leaders.pid)])
    kernel.gaps.add("process", f"pid {without[0]}" if len(without) else "", "known by its threads alone", len(without))
    task = leaders.task
    living, thread = living_threads(every, leaders)
    who = cred.credentials(kernel, living)
    spaces = nsproxy.namespaces(kernel, living, who.user_ns)
    groups = cgroup.hierarchies(kernel, living)
    ended = np.array([state in ENDED for state in leaders.state], bool) & (thread == 0)
    memory, memory_known = mm.address_spaces(kernel, living, ((leaders.flags & kthread.PF_KTHREAD) != 0) | ended)
    words = mm.arguments(kernel, memory, memory_known)
    # one that ends while RAM is read gives back its memory: another's words may stand there
    live = (smear.smear(kernel).span or 0) >= smear.UNSURE
    unsure = np.flatnonzero((memory != 0) & (live | ~(leaders.seen["tasks"] & leaders.seen["pids"])))
    for row in unsure[own_pages.foreign_words(kernel, memory[unsure])].tolist():
        words.args[row] = words.environ[row] = None
    programs = mm.executables(kernel, memory, mounts)
    numbers = pid.numbers(kernel, pid.of_tasks(kernel, task))
    signal = kernel.pointer(task, "task_struct", "signal")
    threads = kernel.read(signal, "signal_struct", "nr_threads")
    boot, now = timekeeping.clocks(kernel)
    since = kernel.read(task, "task_struct", kernel.first_member("task_struct", "start_boottime", "real_start_time"))
    names = kthread.names(kernel, task, leaders.flags.astype(np.uint64), leaders.comm)
    hosts = _hostnames(kernel, spaces.address["uts"])
    rows = []
    for row in range(len(leaders)):
        args, environ, path = words.args[row], words.environ[row], programs.path[row]
        known = bool(who.known[row])
        rows.append(
            Process(
                task=int(task[row]),
                pid=int(leaders.pid[row]),
                ppid=int(leaders.ppid[row]) if leaders.ppid[row] >= 0 else None,
                tgid=int(leaders.tgid[row]),
                comm=None if (name := names[row]) is None else text(name),
                args=None if args is None else [text(word) for word in args],
                environ=None if environ is None else [text(word) for word in environ],
                exe=None if path is None else text(path),
                exe_deleted=bool(programs.deleted[row]) if programs.known[row] else None,
                start=None if boot is None or not 0 < since[row] < now else boot + int(since[row]),
                uid=int(who.uid[row]) if known else None,
                cap_effective=int(who.cap_effective[row]) if known else None,
                seccomp=int(who.seccomp[row]) if 0 <= who.seccomp[row] <= _SECCOMP_LAST else None,
                pids=numbers[row],
                threads=int(threads[row]) if 0 < threads[row] <= sched.PID_MAX else None,
                kernel_thread=bool(leaders.flags[row] & kthread.PF_KTHREAD),
                state=leaders.state[row],
                cgroups=groups[row],
                namespaces={kind: int(spaces.inum[kind][row]) for kind in nsproxy.KINDS},
                hostname=hosts[row],
                seen_by=[name for name in sched.WITNESSES if leaders.seen[name][row]],
                living_thread=int(thread[row]) or None,
            )
        )
    orphaned = ended & (threads > 1) & (threads <= sched.PID_MAX)
    kernel.count_unread("process whose main thread has ended", task, ~orphaned)
    return ProcessList(rows, task, living, spaces.address["mnt"], every)


def living_threads(every: sched.Tasks, processes: sched.Tasks) -> tuple[U64, NDArray[np.int32]]:
    """(task, number): where a process's main thread has ended and another lives, that one; else the main thread, and 0.

    A main thread that calls pthread_exit stays as a zombie until the last thread of its group ends, but has given back
    memory, files and namespaces (do_exit in kernel/exit.c). uint64[n], int32[n].
    """
    alive = every.select(np.array([state not in ENDED for state in every.state], bool) & ~every.leader)
    group, first = np.unique(alive.tgid, return_index=True)  # every is sorted by pid
    task, thread = processes.task.copy(), np.zeros(len(processes), np.int32)
    if len(group):
        ended = np.array([state in ENDED for state in processes.state], bool)
        place = rows_of(group, processes.tgid)
        moved = ended & (place >= 0) & processes.leader
        task[moved], thread[moved] = alive.task[first[place[moved]]], alive.pid[first[place[moved]]]
    return task, thread


def _hostnames(kernel: Kernel, uts: U64) -> list[str | None]:
    unique, back = np.unique(uts, return_inverse=True)
    names = nsproxy.uts_names(kernel, unique)
    texts = [None if name is None else text(name) for name in names]
    return [texts[row] for row in back]
