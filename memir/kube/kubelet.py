# SPDX-License-Identifier: Apache-2.0
"""The kubelet in a node's memory: its options, and the pod statuses that it sent to the API.

A status is JSON in the kubelet's heap (pkg/kubelet/status: a patch of `.status`; the API answers with the whole pod):
how containers ended, when they started, how often they were restarted, which are init containers. It is read from the
kubelet's own memory alone: what a pod writes into its memory is no status.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from memir.kernel.engine import Kernel
from memir.kernel.user_memory import anonymous_memory
from memir.kube.deletions import deletions
from memir.kube.event_keys import SpecKind, spec_kinds
from memir.kube.fields import Fields
from memir.kube.literals import matches
from memir.kube.processes import Process
from memir.kube.tornjson import read_object
from memir.kube.witness import options_of

StatusKind = Literal["container", "init", "ephemeral"]
_LISTS: dict[bytes, StatusKind] = {
    b"containerStatuses": "container",
    b"initContainerStatuses": "init",
    b"ephemeralContainerStatuses": "ephemeral",
}
_STATUSES = re.compile(rb'"(containerStatuses|initContainerStatuses|ephemeralContainerStatuses)":(?=\[\{")')
# one status by itself, where its list's beginning was written over: a patch's keys are sorted, an object's are not
_ALONE = re.compile(rb'\{"containerID":"[a-z0-9.-]{1,64}://[0-9a-f]{64}",|\{"name":"[0-9a-z-]{1,63}","state":\{')
_ALONE_BEGINS = (b'{"containerID":"', b'{"name":"')
_PATCH = re.compile(rb'\{"metadata":\{"uid":"(?=[0-9a-f-]{36}"\},)')
_ID = re.compile(r"[a-z0-9.-]{1,64}://([0-9A-Za-z_.-]{1,128})")
_LIMIT = 256 << 10  # more than a pod's status needs: behind it lies something else
MAX_DOCUMENTS = 100_000  # bounds what a hostile process may have planted
PHASES = ("Pending", "Running", "Failed", "Succeeded")
"""As a pod goes through them: of several statuses the one further on is the later."""


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """One container as the kubelet last reported it; None is not said.

    kind: by the list that it stands in. started_at, finished_at: ns since 1970 UTC.
    restarts: of the container in the pod's spec, not of this id.
    """

    container_id: str
    name: str
    kind: StatusKind | None = None
    state: Literal["running", "waiting", "terminated"] | None = None
    exit_code: int | None = None
    reason: str | None = None
    restarts: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Statuses:
    """The latest status of each container, by id, and the last phase of each pod, by UID.

    deleted: when each pod that is being deleted has to be gone, in ns since 1970 UTC, by UID. kinds: the list of the
    pod's spec that a container stands in, by pod UID and container's name.
    """

    containers: dict[str, ContainerStatus]
    phases: dict[str, str]
    deleted: dict[str, int] = field(default_factory=dict)
    kinds: dict[tuple[str, str], SpecKind] = field(default_factory=dict)


def kubelet_of(rows: Iterable[Process]) -> Process | None:
    """The kubelet: of processes by that name the oldest one that sees the node's own files."""
    processes = list(rows)
    mounts = next((row.namespaces["mnt"] for row in processes if row.pid == 1), 0)
    named = [
        row for row in processes
        if row.args and row.args[0].rpartition("/")[2] == "kubelet" and mounts and row.namespaces["mnt"] == mounts
    ]  # fmt: skip
    return min(named, key=lambda row: (row.start or 0, row.pid), default=None)


def kubelet_options(rows: Iterable[Process]) -> dict[str, str]:
    """The kubelet's command line by option; empty if no kubelet runs."""
    kubelet = kubelet_of(rows)
    return options_of(kubelet.args or []) if kubelet is not None else {}


def statuses(kernel: Kernel, rows: Iterable[Process]) -> Statuses:
    """What the kubelet's memory says of containers and pods."""
    kubelet = kubelet_of(rows)
    listed: list[ContainerStatus] = []
    phases: dict[str, str] = {}
    pieces = list(anonymous_memory(kernel, kubelet.task, zeros=False)) if kubelet is not None else []
    for _, piece in pieces:
        listed.extend(container_statuses(piece))
        for uid, phase in pod_phases(piece):
            if PHASES.index(phase) >= PHASES.index(phases.get(uid, PHASES[0])):
                phases[uid] = phase
        if len(listed) > MAX_DOCUMENTS:
            kernel.gaps.add("kubelet status", f"pid {kubelet.pid if kubelet else 0}", "too many: the rest is not read")
            break
    return Statuses(latest(listed), phases, deletions(pieces), spec_kinds(piece for _, piece in pieces))


def latest(statuses: Iterable[ContainerStatus]) -> dict[str, ContainerStatus]:
    """The latest status of each container id: one that ended does not start again, one with more restarts is later."""
    best: dict[str, ContainerStatus] = {}
    kinds: dict[str, StatusKind] = {}
    for status in statuses:
        old = best.get(status.container_id)
        if old is None or _age(status) > _age(old):
            best[status.container_id] = status
        if status.kind is not None:
            kinds[status.container_id] = status.kind
    return {container: replace(status, kind=kinds.get(container)) for container, status in best.items()}


def _age(status: ContainerStatus) -> tuple[bool, int, int, bool]:
    ended = status.state == "terminated"
    return ended, status.restarts or 0, status.finished_at or status.started_at or 0, status.state == "running"


def container_statuses(data: bytes) -> Iterator[ContainerStatus]:
    """Every container's status in a piece of the kubelet's memory, old versions too, in the order of their places."""
    for match in matches(_STATUSES, data, [b'Statuses":[{"'], 24, 16):
        document = read_object(b'{"s":' + data[match.end() : match.end() + _LIMIT], part_lists=("s",))
        members = document.value.get("s") if document is not None else None
        for status in members if isinstance(members, list) else ():
            if isinstance(status, dict):
                yield from _status(status, _LISTS[match.group(1)])
    for match in matches(_ALONE, data, _ALONE_BEGINS, 0, 200):
        document = read_object(data[match.start() : match.start() + _LIMIT])
        if document is not None and document.complete:
            yield from _status(document.value, None)


def _status(status: dict[str, Any], kind: StatusKind | None) -> Iterator[ContainerStatus]:
    """The present container, and the one that ended before it was restarted."""
    read = Fields()
    name = read.string(status, "name")
    if name is None:
        return
    restarts, image = read.number(status, "restartCount", 1 << 31), read.string(status, "image")
    state = read.object(status, "state")
    ended, running = read.object(state, "terminated"), read.object(state, "running")
    own = _id(read, status) or _id(read, ended)
    if own is not None:
        if ended:
            yield ContainerStatus(own, name, kind, "terminated", restarts=restarts, image=image, **_end(read, ended))
        elif isinstance(state.get("running"), dict):
            started = _moment(read.string(running, "startedAt"))
            yield ContainerStatus(own, name, kind, "running", restarts=restarts, started_at=started, image=image)
        else:
            reason = read.string(read.object(state, "waiting"), "reason")
            yield ContainerStatus(
                own, name, kind, "waiting" if state else None, reason=reason, restarts=restarts, image=image
            )
    last = read.object(read.object(status, "lastState"), "terminated")
    before = _id(read, last)
    if before is not None and (before != own or not ended):
        # restarts as they were while it ran
        ran = restarts - 1 if restarts else restarts
        yield ContainerStatus(before, name, kind, "terminated", restarts=ran, image=image, **_end(read, last))


def _end(read: Fields, ended: dict[str, Any]) -> dict[str, Any]:
    code = ended.get("exitCode")
    return {
        "exit_code": code if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 1 << 31 else None,
        "reason": (read.string(ended, "reason") or "")[:128] or None,
        "started_at": _moment(read.string(ended, "startedAt")),
        "finished_at": _moment(read.string(ended, "finishedAt")),
    }


def _id(read: Fields, value: dict[str, Any]) -> str | None:
    match = _ID.fullmatch(read.string(value, "containerID") or "")
    return match.group(1) if match else None


def _moment(text: str | None) -> int | None:
    """ns since 1970 of RFC 3339 text."""
    try:
        moment = datetime.fromisoformat((text or "")[:40])
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return round(moment.timestamp()) * 1_000_000_000
    except (ValueError, OverflowError):
        return None


def pod_phases(data: bytes) -> Iterator[tuple[str, str]]:
    """(UID, phase) of every pod's status patch in a piece of the kubelet's memory."""
    for match in matches(_PATCH, data, [b'{"metadata":{"uid":"'], 0, 64):
        document = read_object(data[match.start() : match.start() + _LIMIT])
        if document is None:
            continue
        read = Fields()
        uid = read.string(read.object(document.value, "metadata"), "uid")
        phase = read.string(read.object(document.value, "status"), "phase")
        if uid and phase in PHASES:
            yield uid, phase
