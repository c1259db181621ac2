# SPDX-License-Identifier: Apache-2.0
"""A session in a pod that was opened through the Kubernetes API, and who opened it."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.detections.node_namespaces import host_namespaces
from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_SQL = "select * from sessions where coalesce(code, 101) < 300 and pod_uid is not null order by time, audit_id"


def _find(look: Look) -> Iterator[Match]:
    for row in look.ask(_SQL):
        left = [look.process(pid) for pid in row["pids"] or ()]
        severity, reason = _judge(row, [each for each in left if each])
        first = next((each for each in left if each), {})
        place = {**row, "pid": first.get("pid"), "start_time": first.get("start_time")}
        asked = f": {short(' '.join(row['command']))}" if row["command"] else ""
        pids = ", ".join(str(pid) for pid in row["pids"] or ())
        alive = (
            f"; {'pids' if ',' in pids else 'pid'} {pids} {'are' if ',' in pids else 'is'} left of it" if pids else ""
        )
        yield Match(
            severity, reason,
            f"{who(row)} opened {_KINDS.get(row['kind'], row['kind'])} in {where(row)}{alive}{asked}",
            place,
            (Proof("sessions", f"audit_id = '{_quoted(row['audit_id'])}'"),
             *(Proof("processes", f"pid = {each['pid']}") for each in left if each)),
            first_seen=row["time"], subject=str(row["audit_id"]),
        )  # fmt: skip


_KINDS = {"exec": "a session", "attach": "a session (attach)", "portforward": "a tunnel", "debug": "a debug container"}


def who(row: Row) -> str:
    """User, whom it acted as, address and program of a row of sessions or audit."""
    acted = f" as {short(row['impersonated'])}" if row.get("impersonated") else ""
    source = f" from {short(row['source_ips'][0])}" if row.get("source_ips") else ""
    agent = f" with {short(row['user_agent'])}" if row.get("user_agent") else ""
    return f"{short(row['user'] or 'a user that is not known')}{acted}{source}{agent}"


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _judge(session: Row, left: list[Row]) -> tuple[Severity, str]:
    for process in left:
        name = f"pid {process['pid']}"
        if process["exe"] and process["exe"].startswith("/memfd:"):
            return "high", f"{name}, which it left, runs from memory"
        if process["exe_deleted"]:
            return "high", f"{name}, which it left, runs a program that has been deleted"
        if process["disagreements"] and host_namespaces(process):
            return "high", f"{name}, which it left, has stepped onto the node"
    if left and session["end"] is not None:
        return "medium", "it has ended, and what it started lives on"
    if left:
        return "medium", "its processes are running"
    return "low", "nothing is left of it in memory"


DETECTION = Detection(
    kind="api-session",
    title="Session in a pod that was opened through the API, with who opened it",
    how="The audit log has an exec, attach, port-forward or ephemeral container for a pod of this node, which was not "
    "refused; its processes are those of the table sessions. High if one of them runs from memory, runs a deleted "
    "program, or has node's namespaces; medium if any is left; else low.",
    technique="T1609",
    tables=("sessions", "processes"),
    find=_find,
    why="Who it was, from where, and what was typed: the one that can be asked, or whose credentials are lost.",
    check_next=("what else the same user and address asked for: `memir query CASE` over audit and authenticator",
                "whose credential it is: credential_id in sessions, arn in authenticator and cloudtrail"),
    benign=("people at work on their own pods", "runners of CI and operators that work by exec"),
    missed=("sessions opened at the kubelet's own port or on the node: no audit log has them",
            "what was typed into a shell after it was opened"),
    given_by="--logs",
    gaps=("log", "task"),
    also_known=("GuardDuty: Execution:Kubernetes/AnomalousBehavior.ExecInPod",
                "GuardDuty: Execution:Kubernetes/ExecInKubeSystemPod", "Falco: Attach/Exec Pod"),
)  # fmt: skip
