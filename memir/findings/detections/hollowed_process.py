# SPDX-License-Identifier: Apache-2.0
"""A process that does not run what its exe says."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_SQL = """
    select p.pid, any_value(v.path) as path, any_value(v.anonymous) as anonymous, count(v.pid) > 0 as mapped,
           coalesce(bool_or(v.permissions like '%x%'), false) as executable
    from processes p left join vmas v
      on v.pid = p.pid and v.start <= p.start_code and p.start_code < v."end"
    where p.exe_code in ('none', 'part') and p.exe is not null group by p.pid order by p.pid
"""


def _find(look: Look) -> Iterator[Match]:
    for code in look.ask(_SQL):
        row = look.process(code["pid"])
        severity, reason = _judge(row)
        yield Match(
            severity, reason,
            f"pid {row['pid']} {short(row['comm'])} ({where(row)}) has {_what(code)} where the code of "
            f"{short(row['exe'])} belongs",
            row,
            (Proof("processes", f"pid = {row['pid']}"),
             Proof("vmas", f'pid = {row["pid"]} and permissions like \'%x%\'')),
            row["exe"], subject=f"pid {row['pid']}",
        )  # fmt: skip


def _what(code: Row) -> str:
    if not code["mapped"]:
        return "nothing"
    if code["anonymous"]:
        return f"memory of no file{' that may be run' if code['executable'] else ''}"
    return f"{short(code['path'])}"


def _judge(row: Row) -> tuple[Severity, str]:
    if row["exe_code"] == "none":
        return "high", "no executable region is of its exe: the program was unmapped, or exe was set to another file"
    return "medium", "a part of its exe's code has been replaced; programs that move it to large pages do that"


DETECTION = Detection(
    kind="hollowed-process",
    title="Process that does not run its executable",
    how="Where the memory's own bounds say that the program's code is (start_code to end_code), and in all regions "
    "that may be run, exe's file is looked for. High where no such region is of it, medium where a part of the code is "
    "not.",
    technique="T1055",
    tables=("processes", "vmas"),
    find=_find,
    why="ps, /proc/PID/exe and every check by the file's hash show a program that is not what runs.",
    check_next=("the executable regions of the process: `memir hunt IMAGE --pid PID` with rules for implants",
                "what started it, and when: column ppid; whether a process of the same name runs from the same file"),
    benign=("packed programs (UPX), which unmap themselves after unpacking", "processes that CRIU has restored, which "
            "sets exe by prctl", "code moved to large pages (node.js, iodlr): only a part of it"),
    missed=("code put beside the program, which stays mapped (anonymous-executable-memory)",
            "changes within the program's pages (modified-code)"),
    gaps=("vma", "maple", "exe", "mm"),
    also_known=("GuardDuty: DefenseEvasion:Runtime/ProcessInjection.Proc",),
)  # fmt: skip
