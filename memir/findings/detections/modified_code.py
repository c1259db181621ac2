# SPDX-License-Identifier: Apache-2.0
"""Code of a program or library that is another in a process's memory than in the file."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_SQL = """
    select pid, path, count(*) as pages, sum(differing)::bigint as bytes, count(differing) as told,
           coalesce(sum(breakpoints), 0)::bigint as breakpoints, bool_or(permissions like '%w%') as writable,
           min((address + first)::ubigint) as first, min_by("bytes", address + first) as own,
           min_by(file_bytes, address + first) as file
    from code_pages group by pid, path order by pid, path
"""


def _find(look: Look) -> Iterator[Match]:
    for code in look.ask(_SQL):
        row = look.process(code["pid"])
        severity, reason = _judge(code)
        yield Match(
            severity, reason,
            f"pid {code['pid']} {short(row.get('comm'))} ({where(row)}) has {_what(code)} of {short(code['path'])}'s "
            "code",
            row or {"pid": code["pid"]},
            (Proof("code_pages", f"pid = {code['pid']}"), Proof("processes", f"pid = {code['pid']}")),
            code["path"], subject=f"pid {code['pid']} {code['path']}",
        )  # fmt: skip


def _what(code: Row) -> str:
    pages = f"{code['pages']} page{'s' if code['pages'] > 1 else ''} of its own"
    if not code["bytes"]:
        return pages
    change = f"{code['own'][:16]} for {code['file'][:16]} at {code['first']:#x}"
    return f"{pages} with {code['bytes']:,} other byte{'s' if code['bytes'] > 1 else ''} ({change})"


def _judge(code: Row) -> tuple[Severity, str]:
    if code["told"] and code["bytes"] and code["breakpoints"] < code["bytes"]:
        if code["writable"]:
            return "medium", "the region may be written, as programs with code and data in one segment have it"
        return "high", "code is not written to by the program itself: something else put other code there"
    if code["told"] < code["pages"]:
        return "medium", "something wrote there; the file's own page is not in RAM, so that what changed is not known"
    if code["bytes"]:
        return "low", "every changed byte is of a breakpoint, as debuggers and uprobes of tracing agents put them there"
    return "low", "something wrote there and put back what was there before"


DETECTION = Detection(
    kind="modified-code",
    title="Code that is another in memory than in its file",
    how="Pages of an executable mapping of a file, or of the vdso, that the process has as its own copy, against the "
    "page cache. High where bytes differ that are no breakpoints; medium where the region may be written as well, or "
    "where the file's page is not in RAM; low where all that differs are breakpoints, or nothing does.",
    technique="T1055",
    tables=("code_pages", "processes"),
    find=_find,
    why="Who changes a program's code in memory leaves its file, and every check of files, as they were.",
    check_next=(
        "the bytes: `memir hunt IMAGE --pid PID`; those that differ begin at address + first of its row in code_pages",
        "whether the changed place is the start of a function that is called often (accept, read, PAM's checks)",
        "who could write there: column tracer of processes, /proc/PID/mem, the process itself after mprotect",
    ),
    benign=("libraries with text relocations, which the loader fills in", "live patches of programs (libpulp, Kpatch "
            "for user space)", "debuggers, and uprobes of tracing agents: breakpoints"),
    missed=("code that was changed in the page cache or in the file itself", "copies that were swapped out",
            "code that was put where there was none (anonymous-executable-memory)"),
    gaps=("code page", "vma", "maple", "page cache"),
    also_known=("GuardDuty: DefenseEvasion:Runtime/ProcessInjection.Proc",
                "GuardDuty: DefenseEvasion:Runtime/ProcessInjection.Ptrace"),
)  # fmt: skip
