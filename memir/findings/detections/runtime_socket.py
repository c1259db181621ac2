# SPDX-License-Identifier: Apache-2.0
"""A container that can reach the container runtime's socket."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.detections.host_path import reachable
from memir.findings.finding import Detection, Match
from memir.findings.look import Look

_SOCKETS = (
    "/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/docker.sock", "/run/cri-dockerd.sock",
    "/run/k3s/containerd/containerd.sock", "/run/dockershim.sock", "/run/podman/podman.sock",
)  # fmt: skip


def _find(look: Look) -> Iterator[Match]:
    return reachable(look, _leads_to_socket, "the runtime's socket can be reached there")


def _leads_to_socket(path: str) -> bool:
    """A socket, its folder, or /run; what is mounted below such a mount is that mount's own row."""
    source = path.removeprefix("/var") if path.startswith("/var/run") else path
    return source == "/run" or any(source == socket or socket.rpartition("/")[0] == source for socket in _SOCKETS)


DETECTION = Detection(
    kind="runtime-socket",
    title="Container runtime's socket within reach of a pod",
    how="A container has a hostPath that is the socket of containerd, CRI-O, Docker or Podman, its folder, or /run (a "
    "read-only mount does not keep from connecting). Info for a DaemonSet in kube-system, low for others', else "
    "medium.",
    technique="T1611",
    tables=("mounts", "containers", "pods", "processes"),
    find=_find,
    why="Who can talk to the runtime starts privileged containers and enters every other one, past the API.",
    check_next=("connections with the socket: table sockets, family unix", "unknown-container: was it used so"),
    benign=("log and monitoring agents, security sensors, image builders",),
    missed=("a path to the socket through a link or a mount of another file system", "the kubelet's own credentials"),
    gaps=("mount",),
    also_known=("GuardDuty: PrivilegeEscalation:Runtime/DockerSocketAccessed",),
)
