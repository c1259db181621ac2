# SPDX-License-Identifier: Apache-2.0
"""Everything that a run will do and leave, said beforehand."""

from __future__ import annotations

from collections.abc import Sequence

from memir.acquire.sinks.base import Sink
from memir.acquire.tools.base import Tool
from memir.acquire.transports.base import Transport
from memir.evidence.plan import Plan, Step, Trace

ISOLATE = (
    "acquire before you isolate: a security group without rules also cuts SSM and SSH; if the node must be "
    "cut off first, leave the way that memir uses open"
)

ANY_TOOL = "the tool (AVML; LiME, a kernel module, where /proc/kcore cannot be read)"
ANY_TRACES = (
    Trace("audit log", "the execution of the tool and its opening of /proc/kcore, if auditing is on"),
    Trace("kernel log, taint flags", "with LiME: the loading of an out-of-tree module, till the next boot"),
)
"""While it is not known which tool it is."""


def make_plan(
    transport: Transport,
    tool: Tool | None,
    sink: Sink,
    *,
    grace: int,
    cluster: bool = False,
    isolating: bool = False,
) -> Plan:
    """The steps in order, the traces, and warnings. tool: None while it is not known which. isolating: the user means
    to cut the node off."""
    files = tool.files if tool is not None else ()
    program = ", ".join(f"{file.name} ({file.size:,} bytes, SHA-256 {file.sha256})" for file in files) or ANY_TOOL
    name = tool.name if tool is not None else "it"
    steps: list[Step] = [
        *transport.steps(),
        Step("preflight: rights, kernel, lockdown, /proc/kcore, memory, tmpfs, clock, lock", "node"),
        Step("make a private directory on tmpfs, take the lock, start a watchdog", "node", changes=True),
        Step(f"put {program} there and compare its hash on the node", "node", changes=True),
        Step("note mounts, processes, clock, /proc/iomem", "node"),
        Step(f"run {name} into a FIFO; the stream is never a file on the node", "node", changes=True),
        *sink.steps(),
        Step("take /proc/kallsyms, BTF, iomem, version, command line, runtime and kubelet state", "node"),
        Step("note mounts, processes, clock again", "node"),
        Step("stop what runs, unload and remove everything, release the lock", "node", changes=True),
        Step(
            "compare ranges with System RAM, hashes, exit codes; open the image, find its kernel",
            "controller",
        ),
    ]
    if cluster:
        steps.insert(-1, Step("snapshot of the Kubernetes API, secrets' values left out", "kubernetes"))
    warnings = (ISOLATE,) if isolating or transport.kind == "ssm" else ()
    return Plan(tuple(steps), tuple(_traces(transport, tool, sink, grace)), warnings)


def _traces(transport: Transport, tool: Tool | None, sink: Sink, grace: int) -> Sequence[Trace]:
    while_running = f"a directory and a lock on tmpfs (/dev/shm or /run), removed at the end or {grace} s after a loss"
    return (
        *transport.traces(),
        *(tool.traces() if tool is not None else ANY_TRACES),
        *sink.traces(),
        Trace("RAM", "pages of memir's own processes and tool displace a few MB of free or cached memory"),
        Trace("/var/lib/kubelet, /var/log/pods", "access times of directories that are listed, if atime is kept"),
        Trace("memory file system", while_running, stays=False),
    )
