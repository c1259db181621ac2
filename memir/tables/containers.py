# SPDX-License-Identifier: Apache-2.0
"""The table `containers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memir.checkpoint.rows import container_rows
from memir.collected import rows as collected
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns, frame_of

if TYPE_CHECKING:
    from memir.checkpoint.source import CheckpointSource
    from memir.collected.source import CollectedSource

COLUMNS = columns("""
    container_id     string       64 hex digits
    kind             string       sandbox, container, init, sidecar (an init container that runs on) or ephemeral
    image            string       image reference
    runtime          string       containerd, cri-o, docker, ...
    state            string       running, exited, removed (containerd has forgotten it) or unknown
    init_pid         int32        pid of the container's first process on the node
    cgroup_path      string       cgroup of the container
    privileged       bool         all capabilities and no seccomp, as `privileged: true` gives
    host_pid         bool         shares the node's pid namespace
    host_network     bool         shares the node's network namespace
    host_users       bool         shares the node's user namespace; if not, its capabilities count inside its own alone
    user_ns          uint64       user namespace inum of its first process
    containerd_namespace string   containerd's namespace: k8s.io for Kubernetes, moby for Docker
    rootfs           string       path of the root file system on the node
    overlay_upper    string       overlayfs upperdir
    overlay_lower    list<string> overlayfs lowerdirs, topmost first
    args             list<string> command of the container as its spec gives it, secrets masked
    env              list<string> environment of the container's spec, secrets masked
    ports            list<string> ports that its spec declares, `80/TCP`; null where the API was not asked (--cluster)
    sandbox_id       string       container id of the pod's sandbox
    exit_code        int32        exit code of one that ended, as the kubelet reported it
    reason           string       why it ended: Completed, Error, OOMKilled, ContainerCannotRun, ...
    restarts         int32        how often the kubelet had made this container anew before this one
    started_at       timestamp    start as the kubelet reported it, UTC
    finished_at      timestamp    end as the kubelet reported it, UTC
    processes        int32        processes placed in it
    seen_in          string       ram, api or both
    doubts           list<string> what is doubtful: witnesses that differ, oddities of its spec; empty if nothing is
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Every container that memory or the API knows, by namespace, pod, sandboxes first."""
    rows = list(source.containers.values())
    made = {
        "args": [source.secrets.args(row.args)[0] for row in rows],
        "env": [source.secrets.environ(row.env)[0] for row in rows],
        "ports": [_ports(source, row.container_id) for row in rows],
        "started_at": [_microseconds(row.started_at) for row in rows],
        "finished_at": [_microseconds(row.finished_at) for row in rows],
        "source": ["; ".join(row.sources) for row in rows],
    }
    names = [column.name for column in COLUMNS if column.name not in made]
    return Frame({name: [getattr(row, name) for row in rows] for name in names} | made)


def _ports(source: RamSource, container_id: str) -> list[str] | None:
    cluster = source.node.cluster
    _, container = (cluster.containers.get(container_id) if cluster is not None else None) or (None, None)
    return None if container is None or container.ports is None else list(container.ports)


def _microseconds(ns: int | None) -> int | None:
    return None if ns is None else ns // 1000


def read_checkpoint(source: CheckpointSource) -> Frame:
    """The same of a checkpoint's container."""
    return frame_of(COLUMNS, source.gaps, container_rows(source))


def read_collected(source: CollectedSource) -> Frame:
    """The same of a collected pod."""
    return frame_of(COLUMNS, source.gaps, *collected.container_rows(source))


TABLE = Table(
    "containers",
    "Containers and pod sandboxes of the node, running and ended.",
    COLUMNS,
    "container_id",
    {"ram": read, "checkpoint": read_checkpoint, "pod": read_collected},
    volatility="linux.containers",
)
