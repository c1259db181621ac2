# SPDX-License-Identifier: Apache-2.0
"""A process with a container's namespaces in a cgroup of the node's."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.detections.node_namespaces import host_namespaces, left
from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where


def _find(look: Look) -> Iterator[Match]:
    for row in look.rows("processes"):
        kinds = set(host_namespaces(row)) - {"cgroup"}
        if not left(row) or kinds:
            continue
        yield Match(
            "high",
            "all its namespaces are the container's: it was started inside, and its cgroup was changed",
            f"pid {row['pid']} {short(row['comm'])} ({where(row)}) has left its container's cgroup for "
            f"{short(row['cgroup_path'])}",
            row,
            (Proof("processes", f"pid = {row['pid']}"), Proof("claims", f"subject = 'process:{row['pid']}'")),
            row["exe"],
        )  # fmt: skip


DETECTION = Detection(
    kind="left-cgroup",
    title="Process of a container in a cgroup of the node",
    how="Mount, pid, network, IPC and UTS namespaces are a container's, and the cgroup is none of a pod. With only "
    "some "
    "of the namespaces it is joined-namespaces.",
    technique="T1564",
    tables=("processes",),
    more=("claims",),
    find=_find,
    why="Tools that list a pod's processes, limit them or kill them go by its cgroup: who left it is not seen by them "
    "and "
    "outlives the pod.",
    check_next=("who could write cgroups: a privileged pod, or root on the node", "what else runs in that cgroup"),
    benign=("nsenter with all namespaces from a shell on the node",),
    missed=("a process that has left its namespaces too",),
    gaps=("cgroup", "namespace", "nsproxy"),
)
