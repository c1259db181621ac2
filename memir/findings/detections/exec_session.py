# SPDX-License-Identifier: Apache-2.0
"""A process that was started in a container from outside: kubectl exec, a probe, a runtime's exec."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_STDIN = "select pid, kind, path from files where use = 'fd' and fd = 0"
_LONG = timedelta(minutes=10)
"""No probe or hook lasts so long: the kubelet ends them after timeoutSeconds and terminationGracePeriodSeconds."""


def _find(look: Look) -> Iterator[Match]:
    stdin = {row["pid"]: row for row in look.ask(_STDIN)} if look.has("files") else {}
    for row in sessions(look):
        severity, reason = _judge(look, row, stdin.get(row["pid"]))
        command = short(" ".join(row["args"] or ())) or "its arguments are not known"
        yield Match(
            severity, reason,
            f"pid {row['pid']} {short(row['comm'])} ({where(row)}) was started in the container from outside: "
            f"{command}",
            row, (Proof("processes", f"pid = {row['pid']}"),), row["exe"],
            check_next=(f"who it was: the audit log's pods/exec of {where(row)} at {row['start_time']}",),
        )  # fmt: skip


def sessions(look: Look) -> Iterator[Row]:
    """Processes of a container whose parent is outside of it, but for the container's first one."""
    roots: dict[str, list[Row]] = defaultdict(list)
    for row in look.rows("processes"):
        if row["container_id"] and not row["disagreements"] and _from_outside(look, row):
            roots[row["container_id"]].append(row)
    for number, rows in roots.items():
        init = look.by_container.get(number, {}).get("init_pid")
        rows.sort(key=lambda row: (row["pid"] != init, row["start_time"] is None, row["start_time"] or 0, row["pid"]))
        yield from rows[1:]


def _from_outside(look: Look, row: Row) -> bool:
    return bool(look.process(row["ppid"]).get("container_id") != row["container_id"])


def _judge(look: Look, row: Row, stdin: Any) -> tuple[Severity, str]:
    if stdin is not None and (stdin["kind"] == "fifo" or (stdin["path"] or "").startswith("/dev/pts")):
        return "medium", "somebody holds its standard input: no probe has one"
    if row["start_time"] and look.facts.clock and look.facts.clock - row["start_time"] > _LONG:
        return "medium", "it runs longer than a probe or a hook may"
    return "low", "probes and hooks of the kubelet start so, too"


DETECTION = Detection(
    kind="exec-session",
    title="Session in a container that was opened from outside",
    how="A process of a container has a parent outside of it and is not the container's first. Medium if its standard "
    "input is a pipe or a terminal, or it runs for ten minutes; else low.",
    technique="T1609",
    tables=("processes", "containers"),
    more=("files",),
    find=_find,
    why="Someone, or something, works in the container beside its program: with the pod's tokens, network and files.",
    check_next=("what it has started: processes of the same container that its spec does not start",
                "the debug container's own entry in the pod, if it is one"),
    benign=("the team's own kubectl exec, kubectl cp and debuggers", "probes and hooks by exec"),
    missed=("a session whose process has ended, while those that it started live on: their parent is the container's "
    "first "
            "process then",),
    gaps=("task", "open file"),
    also_known=("Falco: Terminal shell in container", "GuardDuty: Execution:Kubernetes/AnomalousBehavior.ExecInPod",
                "GuardDuty: Execution:Kubernetes/ExecInKubeSystemPod"),
)  # fmt: skip
