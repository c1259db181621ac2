# SPDX-License-Identifier: Apache-2.0
"""A container with a folder of the node that gives more than data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from memir.findings.finding import Detection, Match, Proof, Severity, short
from memir.findings.look import Look, where

_FOLDERS = (
    "/", "/etc", "/root", "/home", "/boot", "/usr", "/bin", "/sbin", "/lib", "/opt", "/var", "/var/lib",
    "/var/lib/kubelet", "/var/lib/containerd", "/var/lib/docker", "/proc", "/dev", "/run", "/var/spool/cron",
    "/etc/kubernetes",
)  # fmt: skip
_SQL = """
    select m.* from mounts m
    where m.container_id is not null and m.volume_kind = 'hostPath' and not m.hidden and not exists (
      select 1 from mounts p where p.mnt_ns = m.mnt_ns and p.mount_id = m.parent_id and p.volume_kind = 'hostPath')
"""
_REACHED = """
    select distinct container_id, container_name, pod_uid, pod_name, namespace, mnt_ns, mount_id, mount_point,
           source_path
    from mounts where container_id is not null and source_path is not null and not hidden
      and volume_kind in ('hostPath', 'subPath')
"""


def _find(look: Look) -> Iterator[Match]:
    pods = {row["pod_uid"]: row for row in look.rows("pods")}
    for mount in look.ask(_SQL):
        if mount["source_path"] not in _FOLDERS:
            continue
        writable = "rw" in (mount["options"] or ())
        severity, reason = whose_agent(pods.get(mount["pod_uid"], {}), "medium" if writable else "low")
        text = (
            f"{where(mount)} has {mount['source_path']} of the node at {short(mount['mount_point'])}"
            f"{', and may write there' if writable else ', to read'}"
        )
        yield match_of(look, mount, severity, reason, text)


def match_of(look: Look, mount: Mapping[str, Any], severity: Severity, reason: str, text: str) -> Match:
    """What is said of a container's mount, with its first process where the container is known."""
    container = look.by_container.get(mount["container_id"])
    proof = Proof("mounts", f"mnt_ns = {mount['mnt_ns']} and mount_id = {mount['mount_id']}")
    about = mount if container is None else look.with_init(container)
    return Match(severity, reason, text, about, (proof,), mount["source_path"])


def reachable(look: Look, gives: Callable[[str], bool], what: str) -> Iterator[Match]:
    """Files and folders of the node that containers have, parts of volumes too, whose path `gives` what is named."""
    pods = {row["pod_uid"]: row for row in look.rows("pods")}
    for mount in look.ask(_REACHED):
        if gives(mount["source_path"]):
            text = (
                f"{where(mount)} has {short(mount['source_path'])} of the node at {short(mount['mount_point'])}: {what}"
            )
            yield match_of(look, mount, *whose_agent(pods.get(mount["pod_uid"], {}), "medium"), text)


def whose_agent(pod: dict[str, Any], others: Severity) -> tuple[Severity, str]:
    """(severity, reason) of what agents of a node need: info in kube-system, low elsewhere, `others` for the rest."""
    owner = pod.get("owner") or ""
    if owner.startswith(("DaemonSet/", "Node/")):
        kube = pod.get("namespace") == "kube-system"
        return (
            "info" if kube else "low",
            f"{owner}{' in kube-system' if kube else ''}: agents of nodes have such mounts",
        )
    return others, f"{owner or 'no controller'} runs it, which is no agent of the node"


DETECTION = Detection(
    kind="host-path",
    title="Folder of the node in a container that gives more than data",
    how="A hostPath volume is the node's root, or a folder of its configuration, programs, credentials or devices. "
    "For a "
    "DaemonSet or static pod info in kube-system, low elsewhere; for others medium if it may be written, else low.",
    technique="T1611",
    tables=("mounts", "containers", "pods", "processes"),
    find=_find,
    why="What is written there the node runs (units, cron, static pods, keys); what is read there are its secrets.",
    check_next=("what was written: program-from-host-path, files of the node that changed since the pod's start",),
    benign=("agents of the node, CSI and CNI drivers, log collectors",),
    missed=("a folder below those named that is as dangerous", "a device that was mounted from inside"),
    gaps=("mount",),
    also_known=("Falco: Mount Launched in Privileged Container",
                "GuardDuty: PrivilegeEscalation:Runtime/ContainerMountsHostDirectory"),
)  # fmt: skip
