# SPDX-License-Identifier: Apache-2.0
"""The table `namespaces`."""

from __future__ import annotations

from collections import defaultdict

from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    kind             string       mnt pid net ipc uts user cgroup time
    inum             uint64       number that /proc/PID/ns shows
    initial          bool         the node's own namespace of this kind
    pids             list<int32>  processes in it
    pods             list<string> UIDs of the pods whose processes are in it
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Every namespace that a process is in, by kind and number."""
    pids: dict[tuple[str, int], list[int]] = defaultdict(list)
    pods: dict[tuple[str, int], set[str]] = defaultdict(set)
    for process, identity in zip(source.processes.rows, source.identities, strict=True):
        for kind, inum in process.namespaces.items():
            if inum:
                pids[kind, inum].append(process.pid)
                if identity.pod_uid:
                    pods[kind, inum].add(identity.pod_uid)
    keys = sorted(pids)
    host = source.membership.host
    inums = [inum for _, inum in keys]
    return Frame(
        {
            "kind": [kind for kind, _ in keys],
            "inum": inums,
            "initial": [host.get(kind) == inum for kind, inum in keys],
            "pids": [pids[key] for key in keys],
            "pods": [sorted(pods[key]) for key in keys],
            "source": ["nsproxy"] * len(keys),
        },
        keys=inums,
    )


TABLE = Table(
    "namespaces", "Namespaces of every kind, and who is in them.", COLUMNS, "namespace", {"ram": read},
    volatility="linux.namespaces",
)  # fmt: skip
