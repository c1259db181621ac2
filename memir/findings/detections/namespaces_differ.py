# SPDX-License-Identifier: Apache-2.0
"""A process of a container with namespaces that are neither its container's nor the node's."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, where

_KINDS = ("user", "mnt", "pid", "net", "ipc", "uts")


def _find(look: Look) -> Iterator[Match]:
    for row in look.rows("processes"):
        container = look.by_container.get(row["container_id"])
        init = look.process(container["init_pid"]) if container else {}
        if not init or row["disagreements"] or row["kernel_thread"]:
            continue
        own = [kind for kind in _KINDS if None not in (row[f"{kind}_ns"], init[f"{kind}_ns"])
               and row[f"{kind}_ns"] != init[f"{kind}_ns"]]  # fmt: skip
        if own:
            severity, reason = _judge(own)
            yield Match(
                severity, reason,
                f"pid {row['pid']} {short(row['comm'])} ({where(row)}) has made namespaces of its own: "
                f"{', '.join(own)}",
                row, (Proof("processes", f"pid in ({row['pid']}, {init['pid']})"),), row["exe"],
            )  # fmt: skip


def _judge(own: list[str]) -> tuple[Severity, str]:
    if "user" in own:
        return "low", "in a user namespace of its own it is root: a way to the kernel's less tested code"
    return "info", "programs that shut themselves in do so"


DETECTION = Detection(
    kind="namespaces-differ",
    title="Process of a container in namespaces that it made",
    how="Witnesses place the process in a container, and user, mount, pid, network, IPC or UTS namespace differ from "
    "the "
    "container's first process without being the node's. Low with a user namespace, else info.",
    technique="T1611",
    tables=("processes", "containers"),
    find=_find,
    why="Exploits of the kernel often begin with unshare -U: there an unprivileged program has every capability.",
    check_next=("what the program is, and whether it needs that",),
    benign=("browsers' sandboxes, bubblewrap, rootless builders, systemd in containers",),
    missed=("a process that has gone back",),
    gaps=("namespace", "nsproxy"),
)
