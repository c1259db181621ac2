# SPDX-License-Identifier: Apache-2.0
"""A pod's node side, in the order in which things pass away: processes, sockets, memory, then what lies on a disk.

The request: uid, containers (ids), memory (bool), rootfs (bool). Everything goes to standard output (frames.py).
"""

import os
import sys
from typing import Any, Dict, List

from memir.collect.node.core import write_core
from memir.collect.node.frames import Frames
from memir.collect.node.layer import Layer
from memir.collect.node.overlay import Root, node_mounts, root_of
from memir.collect.node.procfs import Writer, btime, container_of, members
from memir.collect.node.runtime import bundles_of, write_logs, write_records


def collect(frames: Frames, request: Dict[str, Any]) -> None:
    """Everything that the request asks for."""
    uid = str(request["uid"])
    wanted = {str(name) for name in request["containers"]}
    wanted |= bundles_of(uid)
    known = members(uid, wanted)
    inside: Dict[str, List[int]] = {}
    for pid in sorted(known):
        inside.setdefault(container_of(pid), []).append(pid)
    writer = Writer(frames)
    writer.processes(known)
    writer.spaces(known)
    if request.get("memory"):
        for pid in sorted(known):
            write_core(frames, pid, "clear/memory/%d.core" % pid)
    writer.deleted(known)
    containers = sorted(wanted | {name for name in inside if name})
    records = write_records(frames, containers)
    mounts = node_mounts()
    roots: Dict[str, Any] = {}
    for container in containers:
        root = root_of(container, inside.get(container, []), mounts)
        if root is not None:
            roots[container] = dict(root._asdict())
        write_layers(frames, container, root, inside.get(container, []), bool(request.get("rootfs")))
    logs = write_logs(frames, uid)
    frames.end({
        "btime": btime(), "ticks": os.sysconf("SC_CLK_TCK"), "processes": len(known),
        "containers": containers, "records": records, "roots": roots, "log_files": logs,
    })  # fmt: skip


def write_layers(frames: Frames, container: str, root: Any, pids: List[int], whole: bool) -> None:
    """node/containers/ID/upper.tar, and rootfs.tar if the whole is wanted; a gap where there is none."""
    place = "node/containers/" + container
    if root is None:
        why = "no mount table has its root file system: it has ended; its layer is a snapshot that nobody has mounted"
        frames.gap("root file system", container, why, bool(pids))
        return
    assert isinstance(root, Root)
    if root.upper:
        facts = {"witness": root.witness, "lower": root.lower}
        Layer(frames, True, root.lower).write(root.upper, place + "/upper.tar", facts)
    elif root.fstype == "overlay":
        frames.gap("writable layer", container, "its overlay has none: it is read-only")
    else:
        why = "it is no overlay but %s: --rootfs takes all of it" % root.fstype
        frames.gap("writable layer", container, why, not whole)
    if whole:
        merged = root.merged or ("/proc/%d/root" % pids[0] if pids else "")
        if merged:
            Layer(frames, False).write(merged, place + "/rootfs.tar", {"witness": root.witness})


def main(request: Dict[str, Any]) -> None:
    """Write the stream to standard output; a reader that goes away ends it."""
    try:
        collect(Frames(sys.stdout.buffer), request)
    except BrokenPipeError:
        sys.exit(74)
