# SPDX-License-Identifier: Apache-2.0
"""A process that a process of another container or pod traces."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where


def _find(look: Look) -> Iterator[Match]:
    for row in look.rows("processes"):
        tracer = look.process(row["tracer"])
        if not tracer or (tracer["container_id"], tracer["pod_uid"]) == (row["container_id"], row["pod_uid"]):
            continue
        severity, reason = _judge(row, tracer)
        yield Match(
            severity, reason,
            f"pid {tracer['pid']} {short(tracer['comm'])} ({where(tracer)}) traces pid {row['pid']} "
            f"{short(row['comm'])} ({where(row)})",
            row, (Proof("processes", f"pid in ({row['pid']}, {tracer['pid']})"),), row["exe"],
            subject=f"{tracer['pid']} traces {row['pid']}",
        )  # fmt: skip


def _judge(row: Row, tracer: Row) -> tuple[Severity, str]:
    if None in (row["in_container"], tracer["in_container"]):
        return "medium", "one of the two could not be placed in a container or on the node"
    if not tracer["in_container"]:
        return "medium", "a debugger on the node; the kubelet and container runtimes trace nothing"
    if tracer["pod_uid"] and tracer["pod_uid"] == row["pod_uid"]:
        return "medium", "another container of the same pod, as kubectl debug makes one"
    if not row["in_container"]:
        return "critical", "a container controls a process of the node, and so the node"
    return "high", "a container of another pod reads and writes its memory"


DETECTION = Detection(
    kind="traced",
    title="Process traced from another container",
    how="A process is traced (ptrace) by one that is not in its container. Critical if a container traces a process of "
    "the node, high if it traces one of another pod, medium if the tracer is on the node or in the same pod.",
    technique="T1055.008",
    tables=("processes",),
    find=_find,
    why="Who traces a process reads its secrets and makes it do what they want; between pods that takes rights which "
    "no workload needs.",
    check_next=("the tracer: what it is, who started it, hostPID and CAP_SYS_PTRACE of its pod",
                "whether the traced process's code was changed: finding modified-code"),
    benign=("kubectl debug, gdb and strace of an administrator", "crash reporters and profilers of the node",
            "CRIU while it makes a checkpoint"),
    missed=("memory written through /proc/PID/mem or process_vm_writev, which leave no relation",
            "a tracer that has detached"),
    gaps=("tracer", "task"),
    also_known=("Falco: PTRACE attached to process", "GuardDuty: DefenseEvasion:Runtime/ProcessInjection.Ptrace"),
)  # fmt: skip
