# SPDX-License-Identifier: Apache-2.0
"""A TCP socket that a process has open and the kernel's own tables lack."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where

_SQL = """
    select * from sockets where seen_in = 'file' and protocol = 'tcp'
      and family in ('inet', 'inet6') and type = 'stream' and state in ('LISTEN', 'ESTABLISHED') and local_port > 0
"""
_DOUBT = ("RAM", "socket", "inet", "TCP", "UDP", "raw table", "ping table")


def _find(look: Look) -> Iterator[Match]:
    whole = not any(gap.kind.startswith(_DOUBT) for gap in look.facts.gaps)
    moment = look.facts.span is not None and look.facts.span < 1
    for end in look.ask(_SQL):
        row = look.process(end["pid"]) or end
        sure = whole and moment
        yield Match(
            "high" if sure else "medium",
            "all RAM is there and was read in one moment"
            if sure
            else "RAM is missing, tables are torn, or it was read while the node ran",
            f"pid {end['pid']} {short(row.get('comm'))} ({where(row)}) has a socket that is {end['state']} "
            f"({short(end['local'])} port {end['local_port']}) and in no table of the kernel's",
            row, (Proof("sockets", f"sock = {end['sock']}"),),
        )  # fmt: skip


DETECTION = Detection(
    kind="hidden-socket",
    title="Socket taken from the kernel's tables",
    how="A process has a TCP socket open that listens or is connected, and neither the table of listeners nor that of "
    "connections has it. High if all RAM is there and was read in one moment, else medium.",
    technique="T1014",
    tables=("sockets", "processes"),
    find=_find,
    why="ss and /proc/net/tcp go by these tables: a rootkit takes its connection out of them.",
    check_next=("hidden-task, hidden-module: what else does the kernel not show",),
    benign=("a connection that began or ended while RAM was read",),
    missed=("a filter in the code that prints /proc/net/tcp, which leaves the tables alone",),
    gaps=_DOUBT,
)
