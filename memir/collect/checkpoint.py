# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of a pod's running containers by its kubelet, as part of a collection (--checkpoint).

The kubelet freezes each container while CRIU writes its memory to the node's disk: the archive is read from there by
the collector, and removed when it is stored here with the node's own hash. It comes last, as it changes the disk.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field

from memir.acquire.transports.base import Transport
from memir.collect.folder import Folder
from memir.collect.stream import Received
from memir.collect.target import Target
from memir.errors import ConnectError, RemoteError
from memir.evidence.collected import CollectedGap
from memir.evidence.plan import Step, Trace
from memir.kubeapi.checkpoint import request_checkpoint

Stream = Callable[[dict[str, str]], Received]
"""Runs the collector for archives: paths on the node by container."""

STEP = Step(
    "have the kubelet checkpoint each running container: frozen meanwhile, its memory goes to the node's disk",
    "kubernetes", "POST nodes/NODE/proxy/checkpoint/NAMESPACE/POD/CONTAINER", changes=True,
)  # fmt: skip
TRACES = (
    Trace("node: kubelet's folder, checkpoints/", "the archives, until they are stored; their blocks are not wiped"),
    Trace("Kubernetes audit log", "create of nodes/proxy, once a container"),
)


@dataclass
class Checkpoints:
    """What came of it. left: what may be on the node still. gaps: what was asked for and is not there."""

    gaps: list[CollectedGap] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    exit_code: int | None = 0


def take(target: Target, transport: Transport, folder: Folder, root: str, stream: Stream, out: Checkpoints) -> Received:
    """Ask the kubelet, read the archives, remove them; fills `out` as it goes. root: the node's as scripts see it."""
    archives: dict[str, str] = {}
    pod = target.pod
    stored: set[str] = set()
    try:
        for container in pod.containers:
            if container.state == "running":
                _ask(target, container.name, archives, out)
        if not archives:
            if not out.gaps:
                out.gaps.append(CollectedGap("checkpoint", pod.name, "no container of it runs", missing=True))
            return Received(sent=0)
        received = stream(archives)
        odd = {gap.where for gap in received.gaps}
        names = {container: f"clear/checkpoints/{container}.tar" for container in archives}
        stored = {container for container, name in names.items() if name in folder.names and name not in odd}
        return received
    finally:
        _remove(transport, root, archives, stored, out)


def _ask(target: Target, container: str, archives: dict[str, str], out: Checkpoints) -> None:
    pod = target.pod
    try:
        archives[container] = request_checkpoint(target.api, pod.node, pod.namespace, pod.name, container)
    except RemoteError as error:
        out.gaps.append(CollectedGap("checkpoint", container, str(error)[:500], missing=True))
        if isinstance(error, ConnectError):
            out.left.append(f"maybe an archive of {container} in the kubelet's folder checkpoints/: it gave no answer")


def _remove(transport: Transport, root: str, archives: dict[str, str], stored: set[str], out: Checkpoints) -> None:
    """Remove what is stored; what is not stays, and is told."""
    for container, path in archives.items():
        why = "it did not arrive whole, so it was left"
        if container in stored:
            try:
                done = transport.run(f"rm -- {shlex.quote(root + path)}", timeout=60)
                why = done.error.strip()[:200] if done.code else ""
            except RemoteError as error:
                why = str(error)[:200]
            if not why:
                continue
        out.left.append(f"{path}: the kubelet's checkpoint of {container} ({why})")
