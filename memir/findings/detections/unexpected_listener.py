# SPDX-License-Identifier: Apache-2.0
"""A port that a container listens on and its spec does not declare."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from memir.findings.finding import Detection, Match, Proof, Row, Severity, short
from memir.findings.look import Look, where

_SHELLS = frozenset({
    "sh", "bash", "dash", "ash", "zsh", "ksh", "nc", "ncat", "netcat", "nc.openbsd", "nc.traditional", "socat",
    "busybox",
})  # fmt: skip
_SETTLED = timedelta(minutes=5)
"""A service opens its ports in the minutes after its container's start."""
_SQL = """
    select s.*, c.ports, c.init_pid from sockets s join containers c using (container_id)
    where s.state = 'LISTEN' and s.protocol = 'tcp' and s.local_port is not null and s.pid is not null
      and s.local not like '127.%' and s.local <> '::1' and s.local not like '::ffff:127.%'
      and not coalesce(c.host_network, false)
"""
_BROUGHT = """
    select p.pid from processes p join inodes i on i.container_id = p.container_id and i.container_path = p.exe
    where i.change in ('created', 'modified') or i.layer = 'tmpfs'
"""


def _find(look: Look) -> Iterator[Match]:
    brought = {row["pid"] for row in look.ask(_BROUGHT)} if look.has("inodes") else set()
    for end in look.ask(_SQL):
        declared = end["ports"]
        if declared is not None and f"{end['local_port']}/TCP" in declared:
            continue
        process, init = look.process(end["pid"]), look.process(end["init_pid"])
        judged = _judge(end, process, init, brought=end["pid"] in brought)
        if judged is None:
            continue
        severity, reason = judged
        yield Match(
            severity, reason,
            f"pid {end['pid']} {short(process.get('comm'))} ({where(end)}) listens on port {end['local_port']}"
            + (f"; declared: {', '.join(declared)}" if declared else ""),
            process or end, (Proof("sockets", f"sock = {end['sock']}"),),
            subject=f"{end['pod_uid']} {end['container_id']} {end['pid']} {end['local_port']}",
        )  # fmt: skip


def _judge(end: Row, process: Row, init: Row, *, brought: bool) -> tuple[Severity, str] | None:
    own = end["pid"] == end["init_pid"]
    start, begun = process.get("start_time"), init.get("start_time")
    late = start is not None and begun is not None and start - begun > _SETTLED
    if not own and (brought or process.get("exe_deleted") or str(process.get("exe")).startswith("/memfd:")):
        return "medium", "the program that listens did not come with the container's image"
    if process.get("comm") in _SHELLS and not own:
        return "medium", "a shell or netcat listens that is not the container's own command"
    if late and end["ports"]:
        return "medium", "it began after the container had settled, and the spec declares other ports"
    if end["ports"]:
        return "low", "the spec declares ports, and this is none of them"
    return None


DETECTION = Detection(
    kind="unexpected-listener",
    title="Port that nobody declared",
    how="A container listens on a TCP port, on more than loopback and in a network of its own, that is none of those "
    "its spec declares (containers.ports, of the API's view). Medium if a shell or netcat that is not the container's "
    "command listens, or a program that came after the container's start (both also without the API's view), or a "
    "process that began 5 minutes after the container; else low.",
    technique="T1571",
    tables=("sockets", "containers", "processes"),
    more=("inodes",),
    find=_find,
    why="A backdoor waits for whoever knows its port.",
    check_next=("what the process is, and who started it", "whether a service or a network policy leads there"),
    benign=("metrics, health and debug ports that nobody wrote into the spec: the API does not ask for it",),
    missed=(
        "UDP and unix sockets",
        "pods on the node's network",
        "specs without ports, but for shells and programs that came later",
    ),
    gaps=("socket", "inet"),
    also_known=("Falco: Unexpected inbound connection source",),
)
