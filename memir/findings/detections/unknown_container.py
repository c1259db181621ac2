# SPDX-License-Identifier: Apache-2.0
"""A container that belongs to no pod: neither the kubelet nor the API started it."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row


def _find(look: Look) -> Iterator[Match]:
    pods = {row["pod_uid"]: row for row in look.rows("pods")}
    for row in look.rows("containers"):
        pod = pods.get(row["pod_uid"])
        if row["pod_name"] is not None or (pod is not None and pod["pod_name"] is not None):
            continue
        severity, reason = _judge(look, row)
        ident = row["container_id"][:12]
        named = row["container_name"]
        name = f"{short(named)} ({ident}, {row['state']})" if named else f"{ident} ({row['state']})"
        whose = f"names the pod {row['pod_uid']}, which nothing else knows" if row["pod_uid"] else "belongs to no pod"
        yield Match(
            severity, reason, f"container {name} {whose}",
            look.with_init(row),
            (Proof("containers", f"container_id = '{row['container_id']}'"),),
            first_seen=row["started_at"],
        )  # fmt: skip


def _judge(look: Look, row: Row) -> tuple[Severity, str]:
    if row["state"] != "running":
        return "medium", "it does not run any more"
    if row["containerd_namespace"] not in (None, "k8s.io") and not any(pod["pod_name"] for pod in look.rows("pods")):
        return "low", f"containers of {short(row['containerd_namespace'])} need no pod, and no pod is on this node"
    return "high", "it runs, and on a node of Kubernetes every container is a pod's"


DETECTION = Detection(
    kind="unknown-container",
    title="Container of no pod",
    how="A container of the runtime has no pod, or names one that neither its spec, nor its sandbox, nor the API "
    "knows. "
    "High while it runs, medium once it has ended; low in Docker's own namespace of containerd (moby) without "
    "Kubernetes.",
    technique="T1610",
    tables=("containers", "processes", "pods"),
    find=_find,
    why="Admission, quotas, network policies and the audit log never saw it: it was started on the node itself.",
    check_next=("who can reach the runtime's socket: pods that mount it, root on the node",
                "its image, command, mounts and connections"),
    benign=("nerdctl, ctr and Docker used by the node's own units (Bottlerocket's host containers)",),
    missed=("a container whose records claim a pod that exists",),
    gaps=("container", "spec", "cgroup"),
    also_known=("GuardDuty: PrivilegeEscalation:Runtime/DockerSocketAccessed",),
)  # fmt: skip
