# SPDX-License-Identifier: Apache-2.0
"""A pod's node side, in the order in which things pass away: processes, sockets, memory, then what lies on a disk.

The request: uid, containers (ids), memory (bool), rootfs (bool); archives (paths by container): these and nothing else.
Everything goes to standard output (frames.py).
"""

import os
import sys
from typing import Any, Dict, List

from memir.collect.node.archive import write_archives
from memir.collect.node.core import write_core
from memir.collect.node.frames import Frames
from memir.collect.node.layer import Layer
from memir.collect.node.overlay import Root, node_mounts, root_of
from memir.collect.node.procfs import Writer, btime, container_of, members
from memir.collect.node.runtime import bundles_of, write_logs, write_records
from memir.collect.node.snapshots import META, Containerd, containerd_of, write_known


def collect(frames: Frames, request: Dict[str, Any]) -> None:
    """Everything that the request asks for."""
    if request.get("archives"):
        write_archives(frames, request["archives"])
        frames.end({})
        return
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
    mounts = node_mounts()
    containerd = containerd_of(uid, wanted, mounts)
    containers = sorted(wanted | set(containerd.containers) | {name for name in inside if name})
    records = write_records(frames, containers)
    write_known(frames, containerd.containers)
    roots: Dict[str, Any] = {}
    for container in containers:
        root = root_of(container, inside.get(container, []), mounts) or containerd.layers.get(container)
        if root is not None:
            roots[container] = dict(root._asdict())
        else:
            why = why_none(container, containerd)
            frames.gap("root file system", container, why, bool(containerd.why or inside.get(container)))
            continue
        write_layers(frames, container, root, inside.get(container, []), bool(request.get("rootfs")))
    logs = write_logs(frames, uid)
    frames.end({
        "btime": btime(), "ticks": os.sysconf("SC_CLK_TCK"), "processes": len(known),
        "containers": containers, "records": records, "roots": roots, "log_files": logs,
    })  # fmt: skip


def write_layers(frames: Frames, container: str, root: Root, pids: List[int], whole: bool) -> None:
    """node/containers/ID/upper.tar, and rootfs.tar if the whole is wanted; a gap where there is none."""
    place = "node/containers/" + container
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
        else:
            frames.gap("root file system", container, "it is mounted nowhere: its own layer is taken alone")


def why_none(container: str, containerd: Containerd) -> str:
    """Why there is no root file system of a container that no mount table has."""
    none = "no mount table has its root file system"
    if not containerd.root:
        return none + ", and the node has no database of containerd's that would say where its layer is"
    if containerd.why:
        return "%s, and containerd's database %s/%s cannot be read: %s" % (none, containerd.root, META, containerd.why)
    if container not in containerd.containers:
        return "it has ended, and containerd has removed it and its layer"
    return "it has ended: " + containerd.without.get(container, none)


def main(request: Dict[str, Any]) -> None:
    """Write the stream to standard output; a reader that goes away ends it."""
    try:
        collect(Frames(sys.stdout.buffer), request)
    except BrokenPipeError:
        sys.exit(74)
