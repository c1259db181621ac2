# SPDX-License-Identifier: Apache-2.0
"""A process that runs a file which was never on a disk."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where


def _find(look: Look) -> Iterator[Match]:
    for row in look.rows("processes"):
        exe = row["exe"] or ""
        if not exe.startswith("/memfd:"):
            continue
        # runc 1.0 to 1.1 copied itself into such a file, against CVE-2019-5736
        runc = exe.startswith("/memfd:runc_cloned:")
        yield Match(
            "low" if runc else "high",
            "runc runs as a copy of itself in memory" if runc else "no file on any disk holds the program",
            f"pid {row['pid']} {short(row['comm'])} ({where(row)}) runs from memory: {short(exe)}",
            row, (Proof("processes", f"pid = {row['pid']}"),), exe,
        )  # fmt: skip


DETECTION = Detection(
    kind="memfd-executable",
    title="Program that lies in memory alone",
    how="The executable of a process is a file made by memfd_create. runc's copy of itself is low, all others high.",
    technique="T1620",
    tables=("processes",),
    find=_find,
    why="A program that was never a file leaves nothing for a scanner of images or disks to find; loaders of malware "
    "run so.",
    check_next=(
        "take the program out of memory, it is gone when the process ends: `memir extract files IMAGE -o DIR --pid PID "
        "--deleted`",
        "who started it: its parent, and the exec session or request that the audit log has at its start",
    ),
    benign=("runc's copy of itself (/memfd:runc_cloned:...)", "systemd 257 and later run some units' helpers so"),
    missed=("a process that has replaced its exe link (prctl PR_SET_MM_EXE_FILE)", "code that was loaded into memory "
            "without execve: anonymous-executable-memory"),
    gaps=("exe", "path"),
    also_known=("Falco: Fileless execution via memfd_create", "GuardDuty: DefenseEvasion:Runtime/FilelessExecution"),
)  # fmt: skip
