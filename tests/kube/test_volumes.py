# SPDX-License-Identifier: Apache-2.0
"""Volumes by the paths that the kubelet and containerd make."""

from __future__ import annotations

import pytest

from memir.kube.volumes import Volume, volume_of_mount, volume_of_path

UID, OTHER = "0ad56a5c-4a7e-4d28-9a3a-5d27a2f7f6d1", "1ad56a5c-4a7e-4d28-9a3a-5d27a2f7f6d1"
PODS = f"/var/lib/kubelet/pods/{UID}"


@pytest.mark.parametrize(
    ("path", "volume"),
    [
        (f"{PODS}/volumes/kubernetes.io~secret/db", Volume("secret", "db", UID)),
        (f"{PODS}/volumes/kubernetes.io~configmap/conf/..data", Volume("configMap", "conf", UID)),
        (f"{PODS}/volumes/kubernetes.io~projected/kube-api", Volume("projected", "kube-api", UID)),
        (f"{PODS}/volumes/kubernetes.io~empty-dir/scratch", Volume("emptyDir", "scratch", UID)),
        (f"{PODS}/volumes/kubernetes.io~downward-api/info", Volume("downwardAPI", "info", UID)),
        (f"{PODS}/volumes/kubernetes.io~csi/pvc-1/mount", Volume("csi", "pvc-1", UID)),
        (f"{PODS}/volumes/example.com~disk/d", Volume("example.com/disk", "d", UID)),
        (f"{PODS}/volume-subpaths/conf/web/0", Volume("subPath", "conf", UID)),
        (f"{PODS}/etc-hosts", Volume("etc-hosts", None, UID)),
        (f"{PODS}/containers/web/1a2b3c4d", Volume("termination-log", None, UID)),
        (f"/run/containerd/io.containerd.grpc.v1.cri/sandboxes/{'a' * 64}/shm", Volume("sandbox")),
        ("/var/lib/containerd/io.containerd.grpc.v1.cri/image-volumes/sha256-1", Volume("image")),
        ("/var/log", None),
        # a pod cannot make a directory of its own look like another pod's volume
        (f"{PODS}/plain/{OTHER}/volumes/kubernetes.io~secret/db", None),
    ],
)  # fmt: skip
def test_paths(path: str, volume: Volume | None) -> None:
    assert volume_of_path(path) == volume


def test_mounts_of_a_container() -> None:
    secret = f"{PODS}/volumes/kubernetes.io~secret/db"
    assert volume_of_mount(secret, "tmpfs", "/", "/secrets") == Volume("secret", "db", UID)
    assert volume_of_mount("/etc", "ext4", "/etc", "/host/etc") == Volume("hostPath")
    assert volume_of_mount("/proc", "proc", "/", "/proc") is None
    assert volume_of_mount("/proc", "proc", "/", "/host/proc") == Volume("hostPath")
    assert volume_of_mount("/run/rootfs", "overlay", "/", "/x") is None
    assert volume_of_mount(None, "tmpfs", "/", "/dev") is None
    assert volume_of_mount("/x", "overlay", "/", "/") is None
    # a file system that the node has mounted nowhere still shows the directory
    assert volume_of_mount(None, "ext4", f"/{UID}/volumes/kubernetes.io~secret/db", "/s") == Volume("secret", "db", UID)
