# SPDX-License-Identifier: Apache-2.0
"""A program whose standard input and output are one network connection: reverse and bind shells."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.detections.code_on_command_line import INTERPRETERS, SHELLS
from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

_SQL = """
    select f.pid, any_value(s.sock) as sock, any_value(s.local) as local, any_value(s.local_port) as local_port,
           any_value(s.remote) as remote, any_value(s.remote_port) as remote_port,
           any_value(coalesce(s.remote_name, s.remote)) as name, count(distinct f.fd) as fds
    from files f join sockets s on f.path = 'socket:[' || s.inode || ']'
    where f.use = 'fd' and f.fd <= 2 and s.family in ('inet', 'inet6') and s.remote_port > 0
    group by f.pid, s.inode having bool_or(f.fd = 0) and count(distinct f.fd) > 1
"""


def _find(look: Look) -> Iterator[Match]:
    for end in look.ask(_SQL):
        row = look.process(end["pid"])
        if not row:
            continue
        severity, reason = _judge(look, row)
        yield Match(
            severity, reason,
            f"pid {row['pid']} {short(row['comm'])} ({where(row)}) reads from and writes to a connection with "
            f"{short(end['name'])} port {end['remote_port']}, local port {end['local_port']}",
            row,
            (Proof("files", f"pid = {row['pid']} and use = 'fd' and fd <= 2"),
             Proof("sockets", f"sock = {end['sock']}")),
            row["exe"], subject=f"pid {row['pid']}",
        )  # fmt: skip


def _judge(look: Look, row: Row) -> tuple[Severity, str]:
    spec = look.by_container.get(row["container_id"], {}).get("args")
    names = (row["exe"] or "", (row["args"] or [""])[0])
    if not any(INTERPRETERS.search(name) for name in names) and not SHELLS.search(names[1]):
        if spec is not None and look.process(row["ppid"]).get("args") == spec:
            return "low", "the container's own command starts it so"
        return "medium", "it is no shell; servers that start a program for each connection do so (inetd, nc -e)"
    return "high", "whoever is at the other end types into a shell or an interpreter"


DETECTION = Detection(
    kind="shell-on-socket",
    title="Shell on a connection",
    how="Descriptor 0 and one of 1 and 2 are one TCP or UDP socket with a remote end. High for shells and "
    "interpreters, "
    "low for another program that the container's own command starts, else medium.",
    technique="T1059.004",
    tables=("processes", "files", "sockets", "containers"),
    find=_find,
    why="It is what a reverse or bind shell is.",
    check_next=("the other end: pod, node or outside, and what else talks to it", "what the shell has started",
                "whether the connection went out (reverse) or came in (bind): which local port listens"),
    benign=("inetd, xinetd, systemd sockets with Accept=yes", "nc -e and socat in tests of networks"),
    missed=("a shell that talks through pipes or a terminal to a process that has the connection",),
    gaps=("open file", "socket", "inet"),
    also_known=("Falco: Redirect STDOUT/STDIN to Network Connection in Container",
                "GuardDuty: Execution:Runtime/ReverseShell"),
)  # fmt: skip
