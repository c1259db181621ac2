# SPDX-License-Identifier: Apache-2.0
"""A container that can read the kubelet's credentials."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.detections.host_path import whose_agent
from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, where

_PLACES = (
    "/var/lib/kubelet", "/var/lib/kubelet/pki", "/var/lib/kubelet/kubeconfig", "/var/lib/kubelet/config.json",
    "/etc/kubernetes", "/etc/kubernetes/pki", "/etc/kubernetes/kubelet", "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/admin.conf", "/root/.kube", "/var/lib/rancher/k3s/agent", "/etc/rancher",
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
        if mount["source_path"].rstrip("/") not in _PLACES:
            continue
        severity, reason = whose_agent(pods.get(mount["pod_uid"], {}), "medium")
        container = look.by_container.get(mount["container_id"])
        yield Match(
            severity, reason,
            f"{where(mount)} has {short(mount['source_path'])} of the node at {short(mount['mount_point'])}: the "
            "kubelet's credentials can be read there",
            mount if container is None else look.with_init(container),
            (Proof("mounts", f"mnt_ns = {mount['mnt_ns']} and mount_id = {mount['mount_id']}"),), mount["source_path"],
        )  # fmt: skip


DETECTION = Detection(
    kind="kubelet-credentials",
    title="Kubelet's credentials within reach of a pod",
    how="A container has a hostPath that is the kubelet's folder, its certificates or kubeconfig, /etc/kubernetes or "
    "root's .kube. Info for a DaemonSet in kube-system, low for others', else medium. The whole root of the node is "
    "host-path's.",
    technique="T1552.001",
    tables=("mounts", "containers", "pods", "processes"),
    find=_find,
    why="With the kubelet's key a pod is the node: it reads the secrets of all pods there, and gets their tokens.",
    check_next=("other-credentials: does the key lie in a pod's memory", "audit log: what system:node:NAME did"),
    benign=("CSI drivers, which need the kubelet's folder for mounts", "agents that watch pods' volumes"),
    missed=("a mount of a folder above, such as / or /var/lib: host-path", "a path through a link"),
    gaps=("mount",),
    also_known=("GuardDuty: PrivilegeEscalation:Runtime/ContainerMountsHostDirectory",),
)
