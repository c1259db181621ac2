# SPDX-License-Identifier: Apache-2.0
"""A pod that has asked the instance metadata service."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_SQL = """
    select * from sockets
    where remote in ('169.254.169.254', '::ffff:169.254.169.254', 'fd00:ec2::254') and pod_uid is not null
"""


def _find(look: Look) -> Iterator[Match]:
    pods = {row["pod_uid"]: row for row in look.rows("pods")}
    for end in look.ask(_SQL):
        row = look.process(end["pid"]) or {**end, "pid": None}
        name = f"pid {row['pid']} {short(row['comm'])} ({where(row)})" if row.get("comm") else where(end)
        severity, reason = _judge(pods.get(end["pod_uid"], {}))
        yield Match(
            severity, reason, f"{name} has a connection ({end['state']}) with the instance metadata service",
            row, (Proof("sockets", f"sock = {end['sock']}"),), subject=f"{end['pod_uid']} {row['pid']}",
        )  # fmt: skip


def _judge(pod: Row) -> tuple[Severity, str]:
    if pod.get("host_network"):
        return "info", "it shares the node's network, as agents of the node do"
    return "medium", "the node's role is to be had there; a pod has its own ways to credentials"


DETECTION = Detection(
    kind="metadata-service",
    title="Pod that asks the instance metadata service",
    how="A socket of a pod, also an ended one, has 169.254.169.254 or fd00:ec2::254 as its other end. Info for pods "
    "on the "
    "node's network, else medium. The Pod Identity agent (169.254.170.23) is meant for pods and does not count.",
    technique="T1552.005",
    tables=("sockets", "pods", "processes"),
    find=_find,
    why="With the node's role a pod reads images and changes network interfaces, and is every pod of the node.",
    check_next=("CloudTrail: what the node's role did from then on, and from where",
                "the hop limit of the instance's metadata options: 1 keeps pods out"),
    benign=("SDKs that look for a region or for credentials at their start", "agents of clouds"),
    missed=("requests whose sockets are gone: one is open for milliseconds", "a proxy that asks for the pod"),
    gaps=("socket", "inet"),
    also_known=("Falco: Contact EC2 Instance Metadata Service From Container",
                "GuardDuty: UnauthorizedAccess:Runtime/MetadataDNSRebind"),
)  # fmt: skip
