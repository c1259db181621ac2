# SPDX-License-Identifier: Apache-2.0
"""Ids in the paths that the kubelet and the runtimes use."""

from __future__ import annotations

import pytest

from memir.kube.paths import container_id_of, container_name_of, pod_uid_of, sandbox_id_of, storage_id_of

ID = "0123456789abcdef" * 4
UID = "dd1bf9d1-241d-47f5-8e25-12de83135812"
PODS = f"/var/lib/kubelet/pods/{UID}"


@pytest.mark.parametrize(
    ("path", "uid"),
    [
        (f"{PODS}/volumes/kubernetes.io~projected/kube-api-access-x", UID),
        (f"/{UID}/volumes/kubernetes.io~secret/x", UID),  # the pods' directory is a file system of its own
        (f"/{UID}/etc-hosts", UID),
        (f"/{UID}/made-up", None),
        ("/var/lib/kubelet/pods/" + "a" * 32, "a" * 32),
        ("/var/lib/kubelet/pods/short/volumes", None),
        ("x" * 5000 + PODS, None),
    ],
)
def test_pod_uid(path: str, uid: str | None) -> None:
    assert pod_uid_of(path) == uid


def test_container_name_of_its_termination_log() -> None:
    assert container_name_of(f"{PODS}/containers/web/1a2b3c4d") == (UID, "web")
    assert container_name_of(f"{PODS}/containers/web") is None


def test_runtime_directories() -> None:
    sandboxes = f"/run/containerd/io.containerd.grpc.v1.cri/sandboxes/{ID}/shm"
    assert (sandbox_id_of(sandboxes), sandbox_id_of(sandboxes[:-4]), sandbox_id_of("/sandboxes/x")) == (ID, ID, None)
    storage = f"/run/containers/storage/overlay-containers/{ID}/userdata/hosts"
    assert (storage_id_of(storage), storage_id_of("/")) == (ID, None)
    for path in (f"/var/lib/docker/containers/{ID}/hosts", f"/run/io.containerd.runtime.v2.task/k8s.io/{ID}/rootfs"):
        assert container_id_of(path) == ID
    assert container_id_of(f"/elsewhere/{ID}") is None
