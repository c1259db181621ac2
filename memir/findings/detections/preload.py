# SPDX-License-Identifier: Apache-2.0
"""A process into which the loader puts a library that its program did not ask for."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_VARIABLES = ("LD_PRELOAD=", "LD_AUDIT=")
_WRITABLE = ("/tmp/", "/var/tmp/", "/dev/", "/proc/", "/run/", "/home/", "/root/", "./", "../")


def _find(look: Look) -> Iterator[Match]:
    for row in look.rows("processes"):
        for variable in row["environ"] or ():
            if variable.startswith(_VARIABLES) and not variable.endswith("="):
                severity, reason = _judge(look, row, variable)
                path = variable.split("=", 1)[1]
                yield Match(
                    severity, reason,
                    f"pid {row['pid']} {short(row['comm'])} ({where(row)}) was started with {short(variable)}",
                    row, (Proof("processes", f"pid = {row['pid']}"),), path, subject=f"{row['pid']} {variable}",
                )  # fmt: skip


def in_odd_place(library: str) -> bool:
    """Whether a library lies where no package puts one: who may write there, in a hidden folder."""
    return "/." in library or library.startswith(_WRITABLE)


def _judge(look: Look, row: Row, variable: str) -> tuple[Severity, str]:
    paths = variable.split("=", 1)[1].replace(":", " ").split()
    if variable in (look.by_container.get(row["container_id"], {}).get("env") or ()):
        return "low", "the container's spec says so"
    if any(in_odd_place(path) for path in paths):
        return "high", "the library lies where no package puts one, and no spec asks for it"
    return "medium", "no spec asks for it"


DETECTION = Detection(
    kind="preload",
    title="Library that the loader was told to put in front",
    how="LD_PRELOAD or LD_AUDIT in the environment. Low if the container's spec sets it, high if the library lies "
    "below "
    "/tmp, /dev, /run, a home or in a hidden folder, else medium.",
    technique="T1574.006",
    tables=("processes", "containers"),
    find=_find,
    why="Such a library sees and changes what the program does: it hides files and connections, and takes passwords.",
    check_next=(
        "the library: is it mapped (table vmas), is its file deleted",
        "who set the variable: parent, profile, unit",
    ),
    benign=("allocators (jemalloc, tcmalloc), fakeroot, tracing agents that images set themselves",),
    missed=("/etc/ld.so.preload, which no environment shows (preload-file)", "a process that has removed the variable"),
    gaps=("environ", "page"),
    also_known=("Falco: Linker preload", "GuardDuty: DefenseEvasion:Runtime/SuspiciousCommand"),
)
