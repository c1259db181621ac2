# SPDX-License-Identifier: Apache-2.0
"""What the container runtime and the kubelet keep about a pod's containers: records on /run, status, log files.

containerd: io.containerd.runtime.v2.task (config.json, init.pid ...), runc's state.json, CRI's status, resolv.conf.
CRI-O: overlay-containers/ID/userdata. Only regular files are read, by name, and no FIFO is opened.
"""

import json
import os
import stat
from typing import Any, Dict, Iterable, List, Set

from memir.collect.node.frames import Frames
from memir.collect.node.procfs import open_quietly, text

TASKS = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"
FOLDERS = (
    ("task", TASKS + "/%s"),
    ("runc", "/run/containerd/runc/k8s.io/%s"),
    ("cri", "/run/containerd/io.containerd.grpc.v1.cri/containers/%s"),
    ("cri", "/run/containerd/io.containerd.grpc.v1.cri/sandboxes/%s"),
    ("status", "/var/lib/containerd/io.containerd.grpc.v1.cri/containers/%s"),
    ("status", "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/%s"),
    ("crio", "/run/containers/storage/overlay-containers/%s/userdata"),
    ("crio-status", "/var/lib/containers/storage/overlay-containers/%s/userdata"),
)
POD_LOGS = "/var/log/pods"
MAX_RECORD = 4 << 20
MAX_LOG = 4 << 30
MAX_BUNDLES = 10000
UID_ANNOTATIONS = ("io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid")


def read_regular(path: str, limit: int) -> bytes:
    """A regular file, not followed if it is a link; more than `limit` bytes are cut. OSError."""
    descriptor = open_quietly(path, flags=os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(22, "no regular file")
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        parts, left = [], limit
        while left > 0:
            data = file.read(min(left, 1 << 20))
            if not data:
                break
            parts.append(data)
            left -= len(data)
    return b"".join(parts)


def bundles_of(uid: str) -> Set[str]:
    """Ids of the containers and sandboxes whose runtime record names the pod."""
    out: Set[str] = set()
    for top, inner in ((TASKS, "config.json"), ("/run/containers/storage/overlay-containers", "userdata/config.json")):
        try:
            names = sorted(os.listdir(top))[:MAX_BUNDLES]
        except OSError:
            continue
        for name in names:
            try:
                spec = json.loads(text(read_regular(os.path.join(top, name, inner), MAX_RECORD)))
                notes = spec.get("annotations") or {}
                if uid and uid in [notes.get(key) for key in UID_ANNOTATIONS]:
                    out.add(name)
            except (OSError, ValueError, AttributeError):
                continue
    return out


def write_records(frames: Frames, containers: Iterable[str]) -> Dict[str, int]:
    """node/runtime/ID/KIND/FILE of each container; how many files each has."""
    counts: Dict[str, int] = {}
    for container in containers:
        counts[container] = 0
        for kind, pattern in FOLDERS:
            folder = pattern % container
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                continue
            for name in names:
                path = os.path.join(folder, name)
                try:
                    if not stat.S_ISREG(os.lstat(path).st_mode):
                        continue
                    data = read_regular(path, MAX_RECORD + 1)
                except OSError as error:
                    frames.gap("runtime record", path, str(error.strerror))
                    continue
                cut = "longer than %d bytes" % MAX_RECORD if len(data) > MAX_RECORD else ""
                frames.file("node/runtime/%s/%s/%s" % (container, kind, name), data[:MAX_RECORD], cut)
                counts[container] += 1
    return counts


def write_logs(frames: Frames, uid: str) -> int:
    """node/logs/CONTAINER/FILE: what containers wrote, of every run that the kubelet still keeps. How many files."""
    count = 0
    try:
        pods = [name for name in sorted(os.listdir(POD_LOGS)) if uid and name.endswith("_" + uid)]
    except OSError:
        return 0
    for pod in pods:
        folder = os.path.join(POD_LOGS, pod)
        for container in _listed(folder):
            for name in _listed(os.path.join(folder, container)):
                path = os.path.join(folder, container, name)
                try:
                    # never through a link: who may write to /var/log could lead us anywhere on the node
                    descriptor = open_quietly(path, flags=os.O_NOFOLLOW)
                except OSError as error:
                    link = os.path.islink(path)
                    frames.gap("log file", path, "a link: not followed" if link else str(error.strerror), not link)
                    continue
                _stream(frames, descriptor, "node/logs/%s/%s" % (container, name), {"path": path})
                count += 1
    return count


def _stream(frames: Frames, descriptor: int, name: str, facts: Dict[str, Any]) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        frames.gap("log file", name, "no regular file", True)
        return
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        item = frames.item(name)
        item.facts = facts
        item.close(item.copy(file, MAX_LOG))


def _listed(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(folder)) if stat.S_ISDIR(os.lstat(folder).st_mode) else []
    except OSError:
        return []
