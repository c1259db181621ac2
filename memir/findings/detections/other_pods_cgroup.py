# SPDX-License-Identifier: Apache-2.0
"""A process in the cgroup of one container and the namespaces of another."""

from __future__ import annotations

import re
from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, Row, where

_OTHER = re.compile(r"(mnt|pid|net|ipc|uts|user)_ns=(pod|container):(.+)", re.DOTALL)


def _find(look: Look) -> Iterator[Match]:
    for row in look.rows("processes"):
        texts = [match for text in row["disagreements"] or () if (match := _OTHER.fullmatch(text))]
        if not texts or not any(row["witnesses"] or ()):
            continue
        others = sorted({_whose(look, match[2], match[3]) for match in texts})
        yield Match(
            "high", "the kernel puts a process into the cgroup and the namespaces of one and the same container",
            f"pid {row['pid']} {short(row['comm'])} is in the cgroup of {where(row)} and in the "
            f"{', '.join(sorted({match[1] for match in texts}))} namespace of {', '.join(others)}",
            row,
            (Proof("processes", f"pid = {row['pid']}"), Proof("claims", f"subject = 'process:{row['pid']}'")),
            row["exe"],
        )  # fmt: skip


def _whose(look: Look, kind: str, number: str) -> str:
    rows: dict[str, Row] = (
        look.by_container if kind == "container" else {row["pod_uid"]: row for row in look.rows("pods")}
    )
    return where(rows[number]) if number in rows else f"{kind} {short(number)}"


DETECTION = Detection(
    kind="other-pods-cgroup",
    title="Process in the cgroup of one pod and the namespaces of another",
    how="The cgroup names one container, the mount, pid, network, IPC, UTS or user namespace another one. Always high.",
    technique="T1564",
    tables=("processes", "containers", "pods"),
    more=("claims",),
    find=_find,
    why="What the process does is put down to the wrong pod by every tool that goes by cgroups.",
    check_next=("both pods: which of them could write cgroups or join namespaces (privileged, hostPID)",),
    benign=("a container that shares its pod's pid namespace with another (shareProcessNamespace) does not count",),
    missed=("a process whose cgroup and namespaces were both changed to another pod's",),
    gaps=("cgroup", "namespace", "nsproxy"),
)
