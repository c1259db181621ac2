# SPDX-License-Identifier: Apache-2.0
"""An interpreter that runs code from its command line, which is not the container's own command."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, Row, where

INTERPRETERS = re.compile(r"(^|/)(python[\d.]*|perl[\d.]*|ruby[\d.]*|node(js)?|php[\d.]*|lua(jit)?[\d.]*|tclsh[\d.]*)$")
SHELLS = re.compile(r"(^|/)(sh|bash|dash|ash|zsh|ksh|mksh|fish|busybox)$")
_OPTION = re.compile(r"-(c|e|r|E|-eval|Mre)$")
_NETWORK = re.compile(
    r"socket|connect\s*\(|/dev/(tcp|udp)/|pty\.spawn|fsockopen|TCPSocket|net\.(Socket|connect)|"
    r"\b(nc|ncat|socat)\b.*\s-(e|c)\b|mkfifo|IO::Socket"
)
_CONNECTED = """
    with ends as (
        select unnest(pids) as pid, coalesce(remote_name, remote) as name, remote_port as port from sockets
        where remote_kind is not null and remote_kind not in ('loopback', 'process', 'multicast') and remote_port > 0
    ) select pid, arg_min(name, (name, port)) as name, arg_min(port, (name, port)) as port from ends group by pid
"""


def _find(look: Look) -> Iterator[Match]:
    ends = {row["pid"]: row for row in look.ask(_CONNECTED)} if look.has("sockets") else {}
    for row in look.rows("processes"):
        code = code_of(row)
        spec = look.by_container.get(row["container_id"], {})
        if code is None or row["args"] == spec.get("args"):
            continue
        end = ends.get(row["pid"])
        severity, reason = _judge(code, end)
        if severity is not None:
            proofs = (Proof("processes", f"pid = {row['pid']}"),)
            yield Match(
                severity, reason,
                f"pid {row['pid']} {short(row['comm'])} ({where(row)}) runs code from its command line"
                f"{_to(end)}: {short(code)}",
                row, (*proofs, Proof("sockets", f"list_contains(pids, {row['pid']})")) if end else proofs, row["exe"],
            )  # fmt: skip


def code_of(row: Row) -> str | None:
    """The code that an interpreter or a shell was given behind -c, -e or -r; None if there is none."""
    args = row["args"] or []
    if not any(pattern.search(row["exe"] or "") for pattern in (INTERPRETERS, SHELLS)):
        return None
    for option, code in itertools.pairwise(args[1:]):
        if _OPTION.match(option):
            return str(code)
        if not option.startswith("-"):
            return None
    return None


def _to(end: Row | None) -> str:
    return f" and is connected to {short(end['name'])} port {end['port']}" if end else ""


def _judge(code: str, end: Row | None) -> tuple[Severity | None, str]:
    network = _NETWORK.search(code)
    if network and end:
        return "high", f"the code has {network.group()!r}, it is connected, and the container's own command is another"
    if network:
        return "medium", f"the code has {network.group()!r}, and the container's own command is another"
    if end:
        return "low", "it is connected, and the container's own command is another"
    return None, ""


DETECTION = Detection(
    kind="code-on-command-line",
    title="Interpreter with code on its command line that uses the network",
    how="An interpreter or a shell was given code by -c, -e or -r, and it is not the container's own command. High if "
    "the "
    "code has words for connections and the process is connected to another pod, node or the outside; medium with such "
    "words alone, low with a connection alone. Code without either is no finding.",
    technique="T1059",
    tables=("processes", "containers"),
    more=("sockets",),
    find=_find,
    why="Reverse shells and downloaders are typed so: one line, no file.",
    check_next=("the other end of the connection, and what else talks to it", "who started it: exec session or parent"),
    benign=("probes and start scripts that test a port with a line of Python", "cron jobs of one line"),
    missed=("code that came by standard input or from a file", "a process whose command line has been overwritten"),
    gaps=("args", "socket", "inet"),
    also_known=("Falco: Redirect STDOUT/STDIN to Network Connection in Container",
                "GuardDuty: Execution:Runtime/SuspiciousCommand", "GuardDuty: Execution:Runtime/ReverseShell"),
)  # fmt: skip
