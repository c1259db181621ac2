# SPDX-License-Identifier: Apache-2.0
"""A process of the node whose program lies where a pod may write."""

from __future__ import annotations

from collections.abc import Iterator

from memir.findings.detections.host_path import whose_agent
from memir.findings.finding import Detection, Match, Proof, short
from memir.findings.look import Look, Row, where

_SQL = """
    select distinct mnt_ns, mount_id, source_path, mount_point, container_id, container_name, pod_uid, pod_name,
           namespace
    from mounts where container_id is not null and volume_kind = 'hostPath' and list_contains(options, 'rw')
      and not hidden and source_path is not null
"""
_PACKAGES = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/")


def _find(look: Look) -> Iterator[Match]:
    pods = {row["pod_uid"]: row for row in look.rows("pods")}
    for mount in look.ask(_SQL):
        began = look.with_init(look.by_container.get(mount["container_id"], {"init_pid": None}))["start_time"]
        severity, reason = whose_agent(pods.get(mount["pod_uid"], {}), "high")
        for row in look.rows("processes"):
            if _could_be(row, mount["source_path"]) and (
                not began or not row["start_time"] or row["start_time"] > began
            ):
                yield Match(
                    severity, reason,
                    f"pid {row['pid']} {short(row['comm'])} of the node runs {short(row['exe'])}, which "
                    f"{where(mount)} could "
                    f"write at {short(mount['mount_point'])}",
                    row,
                    (Proof("processes", f"pid = {row['pid']}"),
                     Proof("mounts", f"mnt_ns = {mount['mnt_ns']} and mount_id = {mount['mount_id']}")),
                    row["exe"], subject=f"pid {row['pid']}",
                )  # fmt: skip


def _could_be(row: Row, source: str) -> bool:
    """Whether a process is the node's own and runs a file below the folder, not one of a package below the root."""
    exe = row["exe"] or ""
    if row["in_container"] is not False or row["kernel_thread"]:
        return False
    return exe.startswith(source.rstrip("/") + "/") and not exe.startswith(_PACKAGES)


DETECTION = Detection(
    kind="program-from-host-path",
    title="Process of the node that runs a file which a pod could write",
    how="A process outside of containers runs a program below a hostPath that a container may write, and started "
    "after the "
    "container. /usr, /bin, /sbin and /lib do not count. High; for a DaemonSet info in kube-system, low elsewhere.",
    technique="T1611",
    tables=("processes", "mounts", "containers", "pods"),
    find=_find,
    why="It is how a pod gets to run things on the node: drop a file there, and let cron, a unit or a hook start it.",
    check_next=("when the file came there and who wrote it", "what started it: cron, a unit, udev, core_pattern"),
    benign=("installers of CNI plugins and device plugins, which put programs on the node",),
    missed=("scripts: the program is the interpreter then", "a program that has ended"),
    gaps=("exe", "mount"),
    also_known=("GuardDuty: Execution:Runtime/NewBinaryExecuted",),
)
