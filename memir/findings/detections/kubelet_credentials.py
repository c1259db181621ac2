# SPDX-License-Identifier: Apache-2.0
"""A container that can read the kubelet's credentials."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.detections.host_path import reachable
from memir.findings.finding import Detection, Match
from memir.findings.look import Look

_PLACES = (
    "/var/lib/kubelet", "/var/lib/kubelet/pki", "/var/lib/kubelet/kubeconfig", "/var/lib/kubelet/config.json",
    "/etc/kubernetes", "/etc/kubernetes/pki", "/etc/kubernetes/kubelet", "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/admin.conf", "/root/.kube", "/var/lib/rancher/k3s/agent", "/etc/rancher",
)  # fmt: skip


def _find(look: Look) -> Iterator[Match]:
    return reachable(look, lambda path: path.rstrip("/") in _PLACES, "the kubelet's credentials can be read there")


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
