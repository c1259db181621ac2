# SPDX-License-Identifier: Apache-2.0
"""A container with every capability and no seccomp filter."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity
from memir.findings.look import Look, Row, where

_OWN = ("DaemonSet/", "Node/")
"""Controllers of what belongs to a node: a DaemonSet's pod, a static pod."""
_SHARED = (("the node's pids", "host_pid"), ("the node's network", "host_network"))


def _find(look: Look) -> Iterator[Match]:
    pods = {row["pod_uid"]: row for row in look.rows("pods")}
    for row in look.rows("containers"):
        if row["kind"] == "sandbox" or not row["privileged"] or row["state"] != "running":
            continue
        severity, reason = _judge(row, pods.get(row["pod_uid"], {}))
        shared = [name for name, column in _SHARED if row[column]]
        yield Match(
            severity, reason,
            f"{where(row)} is privileged"
            + (" inside a user namespace of its own" if row["host_users"] is False else "")
            + (f" and shares {' and '.join(shared)}" if shared else ""),
            look.with_init(row),
            (Proof("containers", f"container_id = '{row['container_id']}'"),),
            first_seen=row["started_at"],
        )  # fmt: skip


def _judge(row: Row, pod: Row) -> tuple[Severity, str]:
    owner = pod.get("owner") or ""
    if row["host_users"] is False:
        return "low", "its capabilities count inside its own user namespace alone"
    if owner.startswith(_OWN) and row["namespace"] == "kube-system":
        return "info", f"{owner} in kube-system: network, storage and node agents need it"
    if owner.startswith(_OWN):
        return "low", f"{owner}: agents of nodes run so"
    return "medium", f"{owner or 'no controller'} runs it; what is not of the node needs no such rights"


DETECTION = Detection(
    kind="privileged-container",
    title="Privileged container",
    how="A running container has every capability and no seccomp filter, as `privileged: true` gives. Info for a "
    "DaemonSet or a static pod in kube-system, low for those elsewhere and inside a user namespace, else medium.",
    technique="T1611",
    tables=("containers", "pods", "processes"),
    find=_find,
    why="Root in it is root on the node: devices, kernel modules, and with the node's pids every process.",
    check_next=("whether it made use of it: node-namespaces, program-from-host-path, joined-namespaces",
                "who made it: the audit log's create of the pod"),
    benign=("CNI, CSI, monitoring and security agents", "docker-in-docker of build systems"),
    missed=("a container with some dangerous capabilities and not all (cap_effective of its processes)",),
    gaps=("spec", "container", "cgroup"),
    also_known=(
        "Falco: Launch Privileged Container",
        "GuardDuty: PrivilegeEscalation:Kubernetes/AnomalousBehavior.WorkloadDeployed!PrivilegedContainer",
    ),
)  # fmt: skip
