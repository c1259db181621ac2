# SPDX-License-Identifier: Apache-2.0
"""The table `processes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.checkpoint.rows import process_rows
from memir.collected import rows as collected
from memir.kernel.nsproxy import KINDS
from memir.kube.process_facts import code, confinement
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns, frame_of

if TYPE_CHECKING:
    from memir.checkpoint.source import CheckpointSource
    from memir.collected.source import CollectedSource

COLUMNS = columns("""
    pid              int32        process id in the node's initial pid namespace; of a checkpoint, in its container's
    ppid             int32        pid of the parent (real_parent's tgid), as /proc/PID/stat gives it
    tgid             int32        thread group id; equal to pid for a process's main thread
    comm             string       task name as /proc/PID/comm shows it, other bytes as backslash escapes
    args             list<string> command line, one element an argument, secrets masked; null if not read whole
    exe              string       path of the executable as the process's own mount namespace shows it
    exe_deleted      bool         the executable's file has been unlinked
    exe_sha256       string       hash of the executable's file; null where a page of it is not in RAM
    exe_code         string       mapped, part or none: how much of its code, by its memory's bounds, is of exe's file
    start_code       uint64       user virtual address where that code begins
    start_time       timestamp    when it was forked, UTC; the program that it runs (exec) may be newer
    uid              uint32       real user id in the initial user namespace
    cap_effective    uint64       effective capabilities, bit n is capability n
    seccomp          int32        0 disabled, 1 strict, 2 filter
    seccomp_filters  int32        how many filters judge its system calls
    label            string       SELinux context, or AppArmor profile and its mode, as /proc/PID/attr/current shows it
    tracer           int32        process that traces it or one of its threads (ptrace); 0 for none
    io_uring         bool         it or one of its threads has used io_uring
    limits           list<string> resource limits as `name soft hard`, as /proc/PID/limits
    pid_in_container int32        pid in the innermost pid namespace
    pids             list<int32>  the pid in every pid namespace, outermost first (NSpid)
    threads          int32        number of threads in the group
    kernel_thread    bool         has no user memory by design (PF_KTHREAD)
    state            string       scheduler state as ps shows it: R S D T t Z X I P
    in_container     bool         some witness places the process in a container; null if none could be heard
    cgroup_path      string       path in the unified hierarchy; on cgroup v1 that of the named or first hierarchy
    cgroups          list<string> one `hierarchy:controllers:path` a hierarchy, as /proc/PID/cgroup
    mnt_ns           uint64       mount namespace inum
    pid_ns           uint64       pid namespace inum
    net_ns           uint64       network namespace inum
    ipc_ns           uint64       IPC namespace inum
    uts_ns           uint64       UTS namespace inum
    user_ns          uint64       user namespace inum
    cgroup_ns        uint64       cgroup namespace inum
    time_ns          uint64       time namespace inum
    environ          list<string> environment as its memory holds it, secrets masked; null if not read whole
    seen_by          list<string> witnesses of the task itself: tasks (task list), pids (pid IDR), threads, ...
    unlinked         bool         its own links say that it was taken out of the task list, though it has not ended
    witnesses        list<string> what placed the process in its container: `witness=container or pod`
    disagreements    list<string> witnesses that name another container, pod or the host
    task             uint64       kernel virtual address of task_struct
    source           string       where the row comes from
""")
_AS_THEY_ARE = (
    "pid", "ppid", "tgid", "comm", "exe", "exe_deleted", "uid", "cap_effective", "seccomp", "threads",
    "kernel_thread", "state", "cgroup_path", "seen_by", "source",
)  # fmt: skip


def read(source: RamSource) -> Frame:
    """Every process, in the order of pids."""
    rows, identities = source.processes.rows, source.identities
    return Frame({
        **{name: [getattr(row, name) for row in rows] for name in _AS_THEY_ARE},
        "args": [source.secrets.args(row.args)[0] for row in rows],
        "environ": [source.secrets.environ(row.environ)[0] for row in rows],
        **confinement(source),
        **code(source),
        "start_time": [None if row.start is None else row.start // 1000 for row in rows],
        "pid_in_container": [row.pids[-1] if row.pids else None for row in rows],
        "pids": [row.pids or None for row in rows],
        "in_container": [identity.in_container for identity in identities],
        "cgroups": [row.cgroups.lines() if row.cgroups else None for row in rows],
        **{f"{kind}_ns": [row.namespaces[kind] or None for row in rows] for kind in KINDS},
        "witnesses": [identity.witnesses for identity in identities],
        "disagreements": [identity.disagreements for identity in identities],
        "task": np.array([row.task for row in rows], np.uint64),
    })  # fmt: skip


def read_checkpoint(source: CheckpointSource) -> Frame:
    """The same of a checkpoint's container."""
    return frame_of(COLUMNS, source.gaps, process_rows(source))


def read_collected(source: CollectedSource) -> Frame:
    """The same of a collected pod."""
    return frame_of(COLUMNS, source.gaps, *collected.process_rows(source))


TABLE = Table(
    "processes", "Every process of the node.", COLUMNS, "task",
    {"ram": read, "checkpoint": read_checkpoint, "pod": read_collected}, volatility="linux.containerps",
)  # fmt: skip
