# SPDX-License-Identifier: Apache-2.0
"""A process whose program has been deleted."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where

_PACKAGES = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/")
"""Where packages put programs: a newer one replaces the file below a process that runs on."""


_REPLACED = """
    select distinct p.pid, i.inode, i.address from processes p
    join files f on f.pid = p.pid and f.use = 'exe'
    join inodes i on i.device = f.device and i.inode <> f.inode and i.kind = 'regular' and not i.deleted and not i.freed
    where p.exe_deleted and (i.container_path = p.exe and i.container_id = p.container_id
                             or i.node_path = p.exe and p.container_id is null)
    order by i.address
"""
"""Files that now lie at the path of a process's executable, on its file system."""


def _find(look: Look) -> Iterator[Match]:
    asked = look.has("files") and look.has("inodes")
    others = {row["pid"]: row for row in look.ask(_REPLACED)} if asked else {}
    for row in look.rows("processes"):
        exe = row["exe"]
        if not row["exe_deleted"] or exe is None or exe.startswith("/memfd:"):
            continue
        replaced, other = exe.startswith(_PACKAGES), others.get(row["pid"])
        proofs = [Proof("processes", f"pid = {row['pid']}")]
        proofs += [Proof("inodes", f"address = {other['address']}")] if other is not None else []
        yield Match(
            "low" if replaced else "high",
            "it lay where packages put programs, which updates replace"
            if replaced
            else "it lay where no package puts programs",
            f"pid {row['pid']} {short(row['comm'])} ({where(row)}) runs {short(exe)}, which has been deleted"
            + (f"; another file lies there now (inode {other['inode']})" if other is not None else ""),
            row, tuple(proofs), exe,
        )  # fmt: skip


DETECTION = Detection(
    kind="deleted-executable",
    title="Program whose file has been deleted",
    how="The executable of a process has been unlinked. Low below /usr, /bin, /sbin, /lib and /opt, where an update "
    "of a package does that; else high. Where another file lies at its path now, that is told too: who looks there "
    "sees that one. Files of memfd_create are memfd-executable.",
    technique="T1070.004",
    tables=("processes",),
    find=_find,
    why="Deleting the program that runs takes it from those who look at files; only memory still has it.",
    check_next=(
        "take the program out of memory, it is gone when the process ends: `memir extract files IMAGE -o DIR --pid PID "
        "--deleted`",
        "who started it, and what else its parent started",
    ),
    benign=("a package was updated while its program ran on", "installers that unpack themselves below /tmp",
            "programs that update themselves: another file of the same kind lies at their path"),
    missed=("a file that was replaced by another of the same name and whose directory was copied up",),
    gaps=("exe", "path"),
    also_known=("GuardDuty: Execution:Runtime/NewBinaryExecuted",),
)
