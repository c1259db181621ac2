# SPDX-License-Identifier: Apache-2.0
"""Which volume of a pod a path on the node is, by the directories that the kubelet and the runtimes use."""

from __future__ import annotations

import re
from dataclasses import dataclass

from memir.kube.paths import MAX_PATH, UID, pod_uid_of, sandbox_id_of

# <kubelet root>/pods/<uid>/volumes/<plugin>/<name>[/mount], or .../volume-subpaths/<name>/<container>/<index>
_PLUGIN = re.compile(rf"/({UID})/(?:volumes|volumeDevices)/([^/]+)/([^/]+)")
_SUBPATH = re.compile(rf"/({UID})/volume-subpaths/([^/]+)/[^/]+/[0-9]+")
_OTHER = re.compile(rf"/({UID})/(etc-hosts|containers)(?:/|\Z)")
_KINDS = {
    "kubernetes.io~secret": "secret",
    "kubernetes.io~configmap": "configMap",
    "kubernetes.io~projected": "projected",
    "kubernetes.io~downward-api": "downwardAPI",
    "kubernetes.io~empty-dir": "emptyDir",
    "kubernetes.io~csi": "csi",
    "kubernetes.io~local-volume": "local",
    "kubernetes.io~nfs": "nfs",
    "kubernetes.io~git-repo": "gitRepo",
    "kubernetes.io~aws-ebs": "awsElasticBlockStore",
    "kubernetes.io~iscsi": "iscsi",
    "kubernetes.io~fc": "fc",
    "kubernetes.io~flexvolume": "flexVolume",
}
_PSEUDO = frozenset({"proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts", "overlay", "nsfs", "securityfs"})
# systemd's and the kernel's own mounts below these are what a container is given anyway
_USUAL = ("/proc", "/sys", "/dev/pts", "/dev/mqueue")


@dataclass(frozen=True, slots=True)
class Volume:
    """kind: in the words of a pod's spec; name: as the spec calls it, None where the path does not tell.

    pod_uid: of the pod whose kubelet directory it lies in, None for what is no pod's.
    """

    kind: str
    name: str | None = None
    pod_uid: str | None = None


def volume_of_path(path: str) -> Volume | None:
    """The volume that a path on the node names; None for any other path.

    Beside volumes the kubelet and the runtimes mount etc-hosts, termination logs, and a sandbox's shm, hostname and
    resolv.conf: kinds `etc-hosts`, `termination-log` and `sandbox`.
    """
    path = path[:MAX_PATH]
    plugin = _PLUGIN.search(path)
    uid = pod_uid_of(path)
    if plugin and uid in (None, plugin[1]):
        name = plugin[3]
        return Volume(_KINDS.get(plugin[2], plugin[2].replace("~", "/")), name, plugin[1])
    subpath = _SUBPATH.search(path)
    if subpath and uid in (None, subpath[1]):
        return Volume("subPath", subpath[2], subpath[1])
    other = _OTHER.search(path)
    if other and uid in (None, other[1]):
        return Volume("etc-hosts" if other[2] == "etc-hosts" else "termination-log", None, other[1])
    if "/image-volumes/" in path:
        return Volume("image")
    return Volume("sandbox") if sandbox_id_of(path) else None


def volume_of_mount(path: str | None, fstype: str | None, root: str | None, mount_point: str | None) -> Volume | None:
    """The volume that a container's mount shows. path: where that lies on the node, None if the node has it nowhere.

    What is on the node and is neither the kubelet's nor a runtime's is a hostPath. A kernel's file system (proc, sysfs)
    at its usual place is what every container is given. Nothing is said where the file system's kind was not read.
    """
    named = volume_of_path(path or "") or (volume_of_path(root) if root else None)
    if named is not None or path is None or fstype is None or mount_point in (None, "/"):
        return named
    if fstype in _PSEUDO and (fstype in ("overlay", "nsfs") or str(mount_point).startswith(_USUAL)):
        return None
    return Volume("hostPath")
