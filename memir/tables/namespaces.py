# SPDX-License-Identifier: Apache-2.0
"""The table `namespaces`."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from memir.kernel import nsproxy
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    kind             string       mnt pid net ipc uts user cgroup time
    inum             uint64       number that /proc/PID/ns shows
    initial          bool         the node's own namespace of this kind
    pids             list<int32>  processes in it, or with a thread in it; none: a file, mount or socket keeps it
    pods             list<string> UIDs of the pods whose processes are in it
    source           string       nsproxy of a task; struct net or struct mount where nobody is in it
""")


def read(source: RamSource) -> Frame:
    """Every namespace that a process or one of its threads is in, and network and mount namespaces that nobody is in,
    by kind and number."""
    pids: dict[tuple[str, int], list[int]] = defaultdict(list)
    pods: dict[tuple[str, int], set[str]] = defaultdict(set)
    whose: dict[int, str | None] = {}
    for process, identity in zip(source.processes.rows, source.identities, strict=True):
        whose[process.pid] = identity.pod_uid
        for kind, inum in process.namespaces.items():
            if inum:
                pids[kind, inum].append(process.pid)
                if identity.pod_uid:
                    pods[kind, inum].add(identity.pod_uid)
    for pid, kind, inum in _of_threads(source):
        if pid not in pids[kind, inum]:
            pids[kind, inum].append(pid)
            pods[kind, inum] |= {uid} if (uid := whose.get(pid)) else set()
    made = {("net", inum): "struct net" for inum in source.net_namespaces[1].tolist()}
    made |= {("mnt", inum): "struct mount" for inum in source.mount_table.inum.tolist() if inum}
    made |= dict.fromkeys(pids, "nsproxy")
    keys = sorted(made)
    host = source.membership.host
    inums = [inum for _, inum in keys]
    return Frame(
        {
            "kind": [kind for kind, _ in keys],
            "inum": inums,
            "initial": [host.get(kind) == inum for kind, inum in keys],
            "pids": [sorted(pids[key]) if key in pids else [] for key in keys],
            "pods": [sorted(pods[key]) if key in pods else [] for key in keys],
            "source": [made[key] for key in keys],
        },
        keys=inums,
    )


def _of_threads(source: RamSource) -> list[tuple[int, str, int]]:
    """(process, kind, number) of namespaces that threads went to by themselves (unshare, setns): container runtimes and
    plugins for networks do so. All but that of users, which a process of several threads cannot change, and of pids."""
    task = source.one_for_each("nsproxy")
    pids = [source.pid_of[each] for each in task.tolist()]
    own = nsproxy.namespaces(source.kernel, task, np.zeros(len(task), np.uint64)).inum
    return [(pid, kind, inum) for kind in nsproxy.KINDS if kind not in ("pid", "user")
            for pid, inum in zip(pids, own[kind].tolist(), strict=True) if inum]  # fmt: skip


TABLE = Table(
    "namespaces", "Namespaces of every kind, and who is in them.", COLUMNS, "namespace", {"ram": read},
    volatility="linux.namespaces",
)  # fmt: skip
