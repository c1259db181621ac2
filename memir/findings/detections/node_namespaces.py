# SPDX-License-Identifier: Apache-2.0
"""A process in a pod's cgroup that has the node's namespaces: it has stepped onto the node."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_HOST = "_ns=host"


def host_namespaces(row: Row) -> list[str]:
    """Kinds of namespaces (mnt, pid, ...) that a process has of the node and its pod has not."""
    return [text.removesuffix(_HOST) for text in row["disagreements"] or () if text.endswith(_HOST)]


def left(row: Row) -> bool:
    """Whether a process is in a cgroup of the node, though namespaces place it in a pod."""
    return "cgroup=host" in (row["disagreements"] or ())


def _find(look: Look) -> Iterator[Match]:
    for row in look.rows("processes"):
        kinds = host_namespaces(row)
        # the cgroup namespace of its creator stays with who is started in a new cgroup: alone it says nothing
        if left(row) or not set(kinds) - {"cgroup"} or not row["pod_uid"]:
            continue
        severity, reason = _judge(row, kinds)
        known = row["cgroup_path"] is not None
        words = "has stepped onto the node" if known else "has namespaces of the node and of a pod"
        yield Match(
            severity, reason,
            f"pid {row['pid']} {short(row['comm'])} ({where(row)}) {words}: "
            f"{', '.join(f'{kind}{_HOST}' for kind in kinds)}",
            row,
            (Proof("processes", f"pid = {row['pid']}"), Proof("claims", f"subject = 'process:{row['pid']}'")),
            row["exe"],
        )  # fmt: skip


def _judge(row: Row, kinds: list[str]) -> tuple[Severity, str]:
    if row["cgroup_path"] is None:
        return "medium", "its cgroup could not be read: it left the pod, or joined the pod's namespaces from the node"
    if row["pod_name"] is None:
        return "medium", "its pod is known by the name of the cgroup alone, which whoever may write cgroups chooses"
    if {"mnt", "pid", "net"} <= set(kinds):
        return "critical", "it is a process of the node in all but its cgroup"
    verb = "s are" if len(kinds) > 1 else " is"
    return "high", f"the {', '.join(kinds)} namespace{verb} the node's, not its pod's"


DETECTION = Detection(
    kind="node-namespaces",
    title="Process of a pod with the node's namespaces",
    how="The cgroup places a process in a pod whose processes have mount, pid, network, IPC or UTS namespaces of their "
    "own, and its are the node's. Critical if mount, pid and network are, else high. What hostPID, hostNetwork and "
    "hostIPC give to the whole pod does not count. Where the cgroup is not known, medium: who came from where is not.",
    technique="T1611",
    tables=("processes",),
    more=("claims",),
    find=_find,
    why="Who has the node's namespaces has the node: its files, its processes, every other pod and the kubelet's keys.",
    check_next=(
        "what it did there: files that it changed on the node, units, cron and keys, other pods' processes",
        "how it got there: a privileged pod with hostPID and nsenter, or a flaw of the kernel or the runtime",
        "cordon the node and treat its credentials as known to others",
    ),
    benign=("kubectl debug node and agents that call nsenter to configure the node",
            "a runtime's own helper in the moment in which it starts a container"),
    missed=("a process that has also left its cgroup and that nothing ties to its pod any more",),
    gaps=("cgroup", "namespace", "nsproxy"),
    also_known=("Falco: Launch Privileged Container; Change thread namespace",
                "GuardDuty: PrivilegeEscalation:Runtime/RuncContainerEscape"),
)  # fmt: skip
