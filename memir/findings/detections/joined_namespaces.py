# SPDX-License-Identifier: Apache-2.0
"""A process of the node that has joined some namespaces of a pod."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.detections.node_namespaces import host_namespaces, left
from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, Row, where

_KINDS = {"mnt", "pid", "net", "ipc", "uts"}


def _find(look: Look) -> Iterator[Match]:
    rows = look.rows("processes")
    node: Row = next((row for row in rows if row["pid"] == 1), {})
    for row in rows:
        hosts = set(host_namespaces(row)) & _KINDS
        joined = {kind for kind in _KINDS - hosts if row[f"{kind}_ns"] != node.get(f"{kind}_ns")}
        # none: the runtime's own process, whose parent is a pod's shim
        if not left(row) or not hosts or not joined:
            continue
        yield Match(
            "medium", "people and agents who look into a pod from the node do the same",
            f"pid {row['pid']} {short(row['comm'])} of the node has joined namespaces of {where(row)}: "
            f"{', '.join(sorted(joined))}",
            row,
            (Proof("processes", f"pid = {row['pid']}"), Proof("claims", f"subject = 'process:{row['pid']}'")),
            row["exe"],
        )  # fmt: skip


DETECTION = Detection(
    kind="joined-namespaces",
    title="Process of the node in some namespaces of a pod",
    how="The cgroup and some namespaces are the node's, others are a pod's. Always medium. A process whose "
    "namespaces are all the node's has joined none, though its parent is a pod's (runc, while it starts a probe).",
    technique="T1609",
    tables=("processes",),
    more=("claims",),
    find=_find,
    why="From there a pod's network or files are used without an exec that the API would have written down.",
    check_next=("who started it, and whether someone of the team was on the node then",),
    benign=("nsenter -n by who debugs a pod's network", "CNI plugins, service meshes and agents that work in pods"),
    missed=("a process that was there and has ended",),
    gaps=("cgroup", "namespace", "nsproxy"),
    also_known=("Falco: Change thread namespace",),
)
