# SPDX-License-Identifier: Apache-2.0
"""A process whose program has been deleted."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where

_PACKAGES = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/")
"""Where packages put programs: a newer one replaces the file below a process that runs on."""


def _find(look: Look) -> Iterator[Match]:
    for row in look.rows("processes"):
        exe = row["exe"]
        if not row["exe_deleted"] or exe is None or exe.startswith("/memfd:"):
            continue
        replaced = exe.startswith(_PACKAGES)
        yield Match(
            "low" if replaced else "high",
            "it lay where packages put programs, which updates replace"
            if replaced
            else "it lay where no package puts programs",
            f"pid {row['pid']} {short(row['comm'])} ({where(row)}) runs {short(exe)}, which has been deleted",
            row, (Proof("processes", f"pid = {row['pid']}"),), exe,
        )  # fmt: skip


DETECTION = Detection(
    kind="deleted-executable",
    title="Program whose file has been deleted",
    how="The executable of a process has been unlinked. Low below /usr, /bin, /sbin, /lib and /opt, where an update "
    "of a "
    "package does that; else high. Files of memfd_create are memfd-executable.",
    technique="T1070.004",
    tables=("processes",),
    find=_find,
    why="Deleting the program that runs takes it from those who look at files; only memory still has it.",
    check_next=(
        "take the program out of memory, it is gone when the process ends: `memir extract files IMAGE -o DIR --pid PID "
        "--deleted`",
        "who started it, and what else its parent started",
    ),
    benign=("a package was updated while its program ran on", "installers that unpack themselves below /tmp"),
    missed=("a file that was replaced by another of the same name and whose directory was copied up",),
    gaps=("exe", "path"),
    also_known=("GuardDuty: Execution:Runtime/NewBinaryExecuted",),
)
