# SPDX-License-Identifier: Apache-2.0
"""A container that can reach the container runtime's socket."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.detections.host_path import whose_agent
from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where

_SOCKETS = (
    "/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/docker.sock", "/run/cri-dockerd.sock",
    "/run/k3s/containerd/containerd.sock", "/run/dockershim.sock", "/run/podman/podman.sock",
)  # fmt: skip
_SQL = """
    select distinct container_id, container_name, pod_uid, pod_name, namespace, mnt_ns, mount_id, mount_point,
           source_path
    from mounts where container_id is not null and source_path is not null and not hidden
      and volume_kind in ('hostPath', 'subPath')
"""


def _find(look: Look) -> Iterator[Match]:
    pods = {row["pod_uid"]: row for row in look.rows("pods")}
    for mount in look.ask(_SQL):
        source = mount["source_path"].removeprefix("/var") if mount["source_path"].startswith("/var/run") else None
        source = source or mount["source_path"]
        # a socket below a mount of the mount is that mount's own row
        if not any(source == path or path.rpartition("/")[0] == source for path in _SOCKETS) and source != "/run":
            continue
        severity, reason = whose_agent(pods.get(mount["pod_uid"], {}), "medium")
        container = look.with_init(look.by_container[mount["container_id"]]) if _known(look, mount) else mount
        yield Match(
            severity, reason,
            f"{where(mount)} has {short(mount['source_path'])} of the node at {short(mount['mount_point'])}: the "
            f"runtime's "
            "socket can be reached there",
            container, (Proof("mounts", f"mnt_ns = {mount['mnt_ns']} and mount_id = {mount['mount_id']}"),),
            mount["source_path"],
        )  # fmt: skip


def _known(look: Look, mount: dict[str, object]) -> bool:
    return mount["container_id"] in look.by_container


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
