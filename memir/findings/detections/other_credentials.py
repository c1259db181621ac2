# SPDX-License-Identifier: Apache-2.0
"""Credentials of another pod, or of the node, in a pod."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from memir.findings.detections.host_path import whose_agent
from memir.findings.finding import Detection, Match, Proof, Row, Severity, short
from memir.findings.look import Look, where

_SQL = """
    select s.*, p.pod_name as their_name, p.namespace as their_namespace from secrets s
    left join pods p on p.pod_uid = s.issued_to
    where s.pod_uid is not null and s.holder in ('environ', 'args', 'memory', 'file')
      and s.valid is distinct from false
      and ((s.issued_to is not null and s.issued_to <> s.pod_uid)
           or (s.kind = 'private key' and s.gain in ('node', 'cluster')))
      and not (s.holder = 'file' and coalesce(s.path, '') like '%/volumes/kubernetes.io~%')
"""


def _find(look: Look) -> Iterator[Match]:
    pods = {row["pod_uid"]: row for row in look.rows("pods")}
    for secret in look.ask(_SQL):
        process = look.process(secret["pid"])
        row = process or {**secret, "pid": None}
        severity, reason = _judge(secret, pods.get(secret["pod_uid"], {}))
        holder = f"pid {row['pid']} {short(row['comm'])} ({where(row)})" if process else where(secret)
        place = f" in {short(secret['path'])}" if secret["path"] else ""
        yield Match(
            severity, reason, f"{holder} has {_whose(secret)}{place}", row,
            (Proof("secrets", f"fingerprint = '{secret['fingerprint']}'"),), secret["path"],
            subject=f"{secret['fingerprint']} {secret['pod_uid']} {row['pid']} {secret['path']}",
        )  # fmt: skip


def _whose(secret: Row) -> str:
    if secret["kind"] == "private key":
        return f"the private key of {short(secret['subject'] or secret['name'])}"
    their = "/".join(part for part in (secret["their_namespace"], secret["their_name"]) if part) or secret["issued_to"]
    return f"the token of the pod {short(their)} ({short(secret['subject'] or 'subject not known')})"


def _judge(secret: Row, pod: dict[str, Any]) -> tuple[Severity, str]:
    severity, reason = whose_agent(pod, "medium")
    if severity != "medium":
        return severity, reason
    if secret["kind"] == "private key" or secret["gain"] in ("cluster", "node", "cloud"):
        return "high", f"it leads on to: {short((secret['opens'] or [secret['gain']])[0])}"
    if secret["holder"] in ("environ", "args"):
        return "high", "it stands in the environment or on the command line, where no service puts a caller's token"
    return "medium", "services that are called with tokens hold those of their callers for a moment"


DETECTION = Detection(
    kind="other-credentials",
    title="Credentials of another pod or of the node in a pod",
    how="A token that was made for one pod (by its claims) lies in memory, environment, arguments or files of another; "
    "or the private key of a node's or an administrator's certificate lies in a pod. High where it stands in "
    "environment or arguments, or leads to the cloud, a node or the cluster, else medium; info for DaemonSets in "
    "kube-system, low for others'. Tokens that have ended do not count.",
    technique="T1552",
    tables=("secrets", "pods", "processes"),
    find=_find,
    why="Who took another's token acts under its name, and the audit log blames the other pod.",
    check_next=("the audit log: what was done with that token (credential-id is its jti)",
                "how it came there: exec sessions, host-path, node-namespaces"),
    benign=("services that get their callers' tokens (webhooks, proxies, token review)", "agents that read all pods"),
    missed=("a token whose pages are gone", "a secret without a pod's name in it: a password, an AWS key"),
    gaps=("hunt", "page"),
    also_known=("GuardDuty: CredentialAccess:Kubernetes/SuccessfulAnonymousAccess",),
)  # fmt: skip
