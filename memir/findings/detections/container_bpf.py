# SPDX-License-Identifier: Apache-2.0
"""A BPF program that a container has loaded."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.detections.host_path import whose_agent
from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where

_SQL = """
    select p.pod_uid, p.container_id, any_value(p.container_name) as container_name, any_value(p.pod_name) as pod_name,
           any_value(p.namespace) as namespace, b.type, list(distinct b.name order by b.name) as names,
           count(distinct b.id) as programs, min(b.time) as first_seen, min(p.pid) as pid,
           list(distinct b.id order by b.id) as ids
    from (select *, unnest(pids) as holder from bpf where kind = 'program') b join processes p on p.pid = b.holder
    where p.container_id is not null or p.pod_uid is not null
    group by p.pod_uid, p.container_id, b.type order by p.pod_uid, p.container_id, b.type
"""
_MOST = 20  # ids in a proof


def _find(look: Look) -> Iterator[Match]:
    pods = {row["pod_uid"]: row for row in look.rows("pods")}
    for group in look.ask(_SQL):
        severity, reason = whose_agent(pods.get(group["pod_uid"], {}), "high")
        names = ", ".join(short(name) for name in group["names"] if name) or "without a name"
        ids = ", ".join(str(number) for number in group["ids"][:_MOST])
        count = group["programs"]
        yield Match(
            severity, reason,
            f"{where(group)} has {count} BPF program{'s' if count > 1 else ''} of type {group['type']}: {short(names)}",
            look.process(group["pid"]) or group, (Proof("bpf", f"kind = 'program' and id in ({ids})"),),
            first_seen=group["first_seen"], subject=f"{group['pod_uid']} {group['container_id']} {group['type']}",
        )  # fmt: skip


DETECTION = Detection(
    kind="container-bpf",
    title="BPF program of a container",
    how="A process of a container has a BPF program open. Info for a DaemonSet in kube-system, low for others', else "
    "high. Programs that the runtime attaches to a container's cgroup (devices) are the node's and do not count.",
    technique="T1014",
    tables=("bpf", "pods", "processes"),
    find=_find,
    why="BPF sees and changes what every process of the node does: hides files, steals credentials.",
    check_next=("where it is attached: table bpf, column attached, and its maps", "the pod's image and privileges"),
    benign=("network plugins, tracing and security sensors: they are DaemonSets",),
    missed=(
        "a program that is pinned or attached and nobody has open any more",
        "programs handed on",
    ),
    gaps=("bpf",),
    also_known=("Falco: BPF Program Not Profiled",),
)
