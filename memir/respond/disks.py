# SPDX-License-Identifier: Apache-2.0
"""Where containerd's and the kubelet's folders lie, by a node's mounts: on its root volume, or on another device.

EKS puts them on instance store where a node asks for it (nodeadm's localStorage: an array /dev/md/kubernetes, mounted
at /mnt/k8s-disks and bound to these folders); of what lies there no EBS snapshot holds anything.
https://awslabs.github.io/amazon-eks-ami/nodeadm/doc/api/#localstorageoptions
"""

from __future__ import annotations

from collections.abc import Iterable

from memir.case.case import Case
from memir.respond.account import InstanceFacts
from memir.respond.plan import NodeFolder

FOLDERS = ("/var/lib/containerd", "/var/lib/kubelet")
MD = "9"
"""Major number of an array of disks (Documentation/admin-guide/devices.txt of Linux)."""
MOUNTS = """
SELECT mount_point, device, device_name FROM mounts
WHERE NOT coalesce(hidden, false) AND mnt_ns = (SELECT mnt_ns FROM processes WHERE pid = 1 LIMIT 1) ORDER BY mount_id
"""


def case_folders(case: Case) -> tuple[NodeFolder, ...]:
    """Of the node that a case is of; () where it has no mounts. Raises CaseError."""
    if not {"mounts", "processes"} <= set(case.tables):
        return ()
    return folders_of(((row[0] or "", row[1] or "", row[2] or "") for row in case.sql(MOUNTS).rows), str(case.folder))


def folders_of(mounts: Iterable[tuple[str, str, str]], witness: str) -> tuple[NodeFolder, ...]:
    """mounts: (mount point, major:minor, what was mounted) of the node's own namespace, the newest last."""
    rows = list(mounts)
    root = [row for row in rows if row[0] == "/"]
    if not root:
        return ()
    held = []
    for folder in FOLDERS:
        over = [row for row in rows if row[0] == "/" or folder == row[0] or folder.startswith(row[0] + "/")]
        _, device, name = max(over, key=lambda row: len(row[0]))
        held.append(NodeFolder(folder, device, name, device == root[-1][1], witness))
    return tuple(held)


def words_of(folders: Iterable[NodeFolder], facts: InstanceFacts) -> list[str]:
    """What EBS snapshots hold of the folders, given what AWS says of the instance's disks."""
    store = f"{facts.instance_store} GB OF INSTANCE STORE"
    known = list(folders)
    if not facts.instance_store:
        return []
    if not known:
        return [
            f"A {facts.kind} HAS {store}: of what containerd and the kubelet keep there no EBS snapshot holds anything;"
            " copy layers from the running node. Whether they keep theirs there is not known: its mounts are (findmnt"
            " -T /var/lib/containerd on the node, or --finding of a case)"
        ]
    return [_word(folder, facts, store) for folder in known]


def _word(folder: NodeFolder, facts: InstanceFacts, store: str) -> str:
    place = f"{folder.device_name or 'a device'} ({folder.device}, mounts of {folder.witness})"
    if folder.on_root:
        return f"{folder.folder} is on the root volume, {place}, which the snapshots hold; a {facts.kind} has {store}"
    if folder.device.partition(":")[0] == MD or len(facts.volumes) < 2:
        return (
            f"NOT IN ANY SNAPSHOT: {folder.folder} is on {place}, and a {facts.kind} HAS {store}: copy layers from the"
            " running node"
        )
    return (
        f"MAY BE IN NO SNAPSHOT: {folder.folder} is on {place}, which is one of {len(facts.volumes)} EBS volumes or of"
        f" {store}: lsblk -o NAME,MODEL on the node tells"
    )
