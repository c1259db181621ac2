# SPDX-License-Identifier: Apache-2.0
"""A pod seen from beside it, where nobody reaches its node (Fargate, ECS): by a container of ours in its PID namespace,
or by an exec in one of its own. Without SYS_PTRACE; access.py says whom that lets us look into.

The request: apart (whether we are in a container of our own), containers (id to the seconds since 1970 at which it
began), target (id of the one that we are beside), shared (whether we see others' processes too), memory, rootfs.
"""

import os
import sys
import time
from typing import Any, Dict, List

from memir.collect.node.access import As, credentials, neighbours, refusal, yama
from memir.collect.node.changed import Written
from memir.collect.node.core import write_core
from memir.collect.node.frames import Frames
from memir.collect.node.overlay import root_of
from memir.collect.node.procfs import NET, Writer, btime, container_of, inum, link, read, text

MARGIN = 1.0
"""Seconds before a container's first process, for a clock that was set a little since: rather a file too many."""


def collect(frames: Frames, request: Dict[str, Any]) -> None:
    """Everything that the request asks for."""
    known = neighbours(bool(request["apart"]))
    target, shared = str(request["target"]), bool(request["shared"])
    of = {pid: container_of(pid) or ("" if shared else target) for pid in known}
    writer = _Beside(frames, of)
    writer.processes(known)
    _spaces(writer, known)
    refused = {pid: why for pid in sorted(known) for why in [refusal(pid)] if why}
    _tell(frames, refused, memory=bool(request["memory"]))
    for pid in sorted(known):
        if request["memory"] and pid not in refused:
            with As(pid):
                write_core(frames, pid, "clear/memory/%d.core" % pid)
    writer.deleted({pid: why for pid, why in known.items() if pid not in refused})
    roots = _files(frames, request, of)
    frames.end({
        "btime": btime(), "ticks": os.sysconf("SC_CLK_TCK"), "processes": len(known),
        "containers": sorted(set(of.values()) - {""}), "records": {}, "roots": roots, "log_files": 0,
        "reader": {"user": os.geteuid(), "group": os.getegid(), "capabilities": _capabilities(), "yama": yama()},
        "refused": [{"pid": pid, "why": why} for pid, why in refused.items()],
    })  # fmt: skip


class _Beside(Writer):
    """A writer that knows whose a process is where its cgroup's path does not say."""

    def __init__(self, frames: Frames, of: Dict[int, str]) -> None:
        Writer.__init__(self, frames, As)
        self._of = of

    def record(self, pid: int, why: List[str]) -> Dict[str, Any]:
        return dict(Writer.record(self, pid, why), container=self._of.get(pid, ""))


def _capabilities() -> str:
    ours = credentials("self")
    return "%x" % ours.effective if ours is not None else ""


def _tell(frames: Frames, refused: Dict[int, str], memory: bool) -> None:
    """A gap for each reason, with the processes that it is about."""
    reasons: Dict[str, List[str]] = {}
    for pid, why in refused.items():
        theirs = credentials(pid)
        reasons.setdefault(why, []).append("%d (%s)" % (pid, theirs.name if theirs is not None else "ended"))
    kind = "memory, environment, open files" if memory else "environment, open files"
    for why, names in reasons.items():
        more = ["..."] if len(names) > 20 else []
        frames.gap(kind, "pid " + ", ".join(names[:20] + more), why, True, len(names))


def _spaces(writer: Writer, known: Dict[int, List[str]]) -> None:
    """The network namespace, which is the pod's and ours; and the mount table of each mount namespace that is told."""
    number = inum(link("/proc/self/ns/net"))
    for name in NET if number else ():
        writer.copy_text("/proc/self/net/" + name, "node/net/%s/%s" % (number, name))
    mounts: Dict[str, int] = {}
    untold: Dict[bytes, int] = {}
    for pid in sorted(known):
        with As(pid):
            number = inum(link("/proc/%d/ns/mnt" % pid))
        if number:
            mounts.setdefault(number, pid)
            continue
        try:
            untold.setdefault(read("/proc/%d/mountinfo" % pid), pid)
        except OSError:
            continue  # ended
    for number, pid in sorted(mounts.items()):
        writer.copy_text("/proc/%d/mountinfo" % pid, "node/mounts/" + number)
    for pid in sorted(untold.values()):
        # which namespace it is, the kernel does not tell us; the table it does
        writer.copy_text("/proc/%d/mountinfo" % pid, "node/mounts/of-pid-%d" % pid)


def _files(frames: Frames, request: Dict[str, Any], of: Dict[int, str]) -> Dict[str, Any]:
    """What each container wrote, from the first of its processes whose root we may enter; their root file systems."""
    written = Written(frames, bool(request["rootfs"]))
    roots: Dict[str, Any] = {}
    inside: Dict[str, List[int]] = {}
    for pid in sorted(of):
        inside.setdefault(of[pid], []).append(pid)
    began = dict(request["containers"])
    if not request["apart"]:
        inside.setdefault(str(request["target"]), [])
    for name, members in sorted(inside.items()):
        since = _since([_began(pid) for pid in members], began.get(name)) - MARGIN
        table = root_of("", members[:1], [])
        if table is not None:
            roots[name] = dict(table._asdict())
        if not request["apart"] and name == str(request["target"]):
            written.container("self", "/", name, since)  # an exec has its root as its own
            continue
        for pid in members:
            try:
                with As(pid):
                    root = os.open("/proc/%d/root" % pid, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                written.container(str(pid), "/proc/self/fd/%d" % root, name, since)
            finally:
                os.close(root)
            break
        else:
            why = "the kernel lets us into the root of none of its processes"
            frames.gap("files", name or "pod", why, True)
    return roots


def _since(processes: List[float], told: Any) -> float:
    """When a container began: its first process tells it best, if it is still there; else the API, in whole seconds."""
    first = min([*processes, time.time()])
    return first if told is None or first < float(told) + 2 else float(told)


def _began(pid: int) -> float:
    """When a process began, in seconds since 1970; now, if it is gone."""
    try:
        ticks = int(text(read("/proc/%d/stat" % pid, 4096)).rpartition(")")[2].split()[19])
        up = float(text(read("/proc/uptime", 256)).split()[0])
    except (OSError, ValueError, IndexError):
        return time.time()
    return time.time() - up + ticks / float(os.sysconf("SC_CLK_TCK"))


def main(request: Dict[str, Any]) -> None:
    """Write the stream to standard output; a reader that goes away ends it."""
    try:
        collect(Frames(sys.stdout.buffer), request)
    except BrokenPipeError:
        sys.exit(74)
