# SPDX-License-Identifier: Apache-2.0
"""Memory of no file that may be run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_SQL = """
    select pid, count(*) as regions, sum("end" - start)::bigint as bytes, min(start) as first,
           bool_or(permissions like '%w%') as writable
    from vmas where anonymous and permissions like '%x%' and rss > 0
      and (path is null or path in ('[heap]', '[stack]') or starts_with(path, '[anon:') or starts_with(path, '[stack:'))
    group by pid
"""
_FILES = """
    select pid, list(distinct path) as paths from vmas
    where path is not null and not anonymous and permissions like '%x%' group by pid
"""
_JIT = re.compile(
    r"/(java|node|nodejs|dotnet|mono(-sgen)?|beam\.smp|pypy3?|luajit|qemu-[\w-]+|chrome|firefox|envoy|wasmtime|php[\w.-]*"
    r"|pwsh|deno|bun)$|lib(jvm|j9jit\w*|node|coreclr|clrjit|mono\w*|LLVM|luajit|lua5|mozjs|javascriptcore\w*|pcre2?|v8"
    r"|wasmtime|ffi|gccjit|ruby|erl\w*)[-_.\d\w]*\.so"
)
"""Programs and libraries that write machine code at run time."""


def _find(look: Look) -> Iterator[Match]:
    regions = look.ask(_SQL)
    files = {row["pid"]: row["paths"] for row in look.ask(_FILES)} if regions else {}
    for region in regions:
        row = look.process(region["pid"])
        if not row:
            continue
        severity, reason = _judge(row, files.get(region["pid"], []))
        yield Match(
            severity, reason,
            f"pid {row['pid']} {short(row['comm'])} ({where(row)}) may run {region['bytes']:,} bytes of memory that "
            f"is no "
            f"file's{', and write them' if region['writable'] else ''}",
            row,
            (Proof("vmas", f"pid = {row['pid']} and anonymous and permissions like '%x%'"),
             Proof("processes", f"pid = {row['pid']}")),
            row["exe"], subject=f"pid {row['pid']}",
        )  # fmt: skip


def _judge(row: Row, paths: list[str]) -> tuple[Severity, str]:
    jit = next((path for path in (row["exe"] or "", *paths) if _JIT.search(path)), None)
    if row["exe_deleted"]:
        return "high", "the program itself has no file any more"
    if jit is not None:
        return "info", f"{short(jit)} writes machine code at run time"
    return "medium", "nothing that it has loaded is known to write machine code"


DETECTION = Detection(
    kind="anonymous-executable-memory",
    title="Memory that is no file's and may be run",
    how="Resident regions without a file have the permission x. High where the program's own file is gone (memfd, "
    "deleted), info where the program or a library is a known just-in-time compiler, else medium.",
    technique="T1055",
    tables=("vmas", "processes"),
    find=_find,
    why="Code that is injected or unpacked lies so; a program that was only loaded from files has none.",
    check_next=("the bytes: `memir hunt IMAGE --pid PID` with rules for shellcode and implants",
                "who could write there: ptrace, /proc/PID/mem, the program itself"),
    benign=("just-in-time compilers: JVM, V8, .NET, LuaJIT, PCRE, Erlang", "programs that are packed (UPX)",
            "trampolines of libffi and of GCC's nested functions"),
    missed=("code in a file that was changed in memory", "code that was put into a just-in-time compiler's own regions",
            "pages that were swapped out"),
    gaps=("vma", "mm", "maple"),
    also_known=("GuardDuty: DefenseEvasion:Runtime/ProcessInjection.Proc",
                "GuardDuty: DefenseEvasion:Runtime/ProcessInjection.VirtualMemoryWrite"),
)  # fmt: skip
