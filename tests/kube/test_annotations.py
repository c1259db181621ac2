# SPDX-License-Identifier: Apache-2.0
"""Names of a container by its annotations, its bundle's path and its cgroup; and what contradicts itself."""

from __future__ import annotations

import pytest

from memir.kube.annotations import CRI, CRIO, LABEL, Names, container_id_of_path, contradictions, names_of
from memir.kube.cgroups import CgroupIds

ID, SANDBOX, OTHER = "a" * 64, "b" * 64, "c" * 64
UID, UID2 = "aaaaaaaa-1111-4111-8111-0123456789ab", "bbbbbbbb-2222-4222-8222-0123456789ab"
BUNDLE = f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"


def test_containerd() -> None:
    doubts: list[str] = []
    annotations = {
        CRI + "container-type": "container", CRI + "container-name": "web",
        CRI + "image-name": "registry.example/web:1",
        CRI + "sandbox-id": SANDBOX, CRI + "sandbox-name": "web-0", CRI + "sandbox-namespace": "shop",
        CRI + "sandbox-uid": UID,
    }  # fmt: skip
    assert names_of(annotations, None, BUNDLE, doubts) == Names(
        ID, "container", "containerd", "web", "registry.example/web:1", SANDBOX, "web-0", "shop", UID
    )
    assert doubts == []


def test_crio_and_its_sandbox() -> None:
    annotations = {
        CRIO + "ContainerType": "sandbox", CRIO + "ContainerID": ID, CRIO + "SandboxID": ID, CRIO + "KubeName": "web-0",
        CRIO + "Namespace": "shop", LABEL + "pod.uid": UID, LABEL + "container.name": "POD",
    }  # fmt: skip
    names = names_of(annotations, None, "ram", [])
    assert (names.engine, names.kind, names.container_id, names.container_name) == ("cri-o", "sandbox", ID, None)
    assert (names.pod_name, names.namespace, names.pod_uid) == ("web-0", "shop", UID)
    named = names_of({CRIO + "ContainerType": "container", CRIO + "Metadata": '{"name": "web"}'}, None, "ram", [])
    assert named.container_name == "web"


def test_log_directory_and_cgroup_fill_in() -> None:
    """Older containerd names pod and namespace in the sandbox's log directory alone."""
    annotations = {CRI + "container-type": "sandbox", CRI + "sandbox-log-directory": f"/var/log/pods/shop_web-0_{UID}"}
    names = names_of(annotations, CgroupIds(container_id=OTHER), "ram", [])
    assert (names.pod_name, names.namespace, names.pod_uid, names.container_id) == ("web-0", "shop", UID, OTHER)
    assert names_of({}, CgroupIds(runtime="podman"), "ram", []).engine == "podman"
    assert names_of({}, None, "/run/docker/x/moby/y/config.json", []).engine == "docker"


def test_what_is_no_name() -> None:
    doubts: list[str] = []
    names = names_of({CRI + "sandbox-name": "\x1b[31mred", CRI + "image-name": "a b"}, None, "ram", doubts)
    assert (names.pod_name, names.image) == (None, None)
    assert len(doubts) == 2


@pytest.mark.parametrize(
    ("path", "ident"),
    [
        (BUNDLE, ID),
        (f"/run/containers/storage/overlay-containers/{ID}/userdata/config.json", ID),
        ("/run/containerd/runc/default/helper/state.json", "helper"),
        ("ram", None),
        ("/etc/-/config.json.bak", None),
    ],
)
def test_id_in_a_path(path: str, ident: str | None) -> None:
    assert container_id_of_path(path) == ident


def test_contradictions() -> None:
    names = Names(ID, "container", "containerd", sandbox_id=SANDBOX, pod_uid=UID)
    cgroup = CgroupIds(container_id=OTHER, pod_uid=UID2)
    mounts = [f"/var/lib/kubelet/pods/{UID2}/volumes/kubernetes.io~projected/x", f"/x/sandboxes/{OTHER}/shm"]
    found = contradictions(names, cgroup, BUNDLE, mounts, {})
    assert [line.partition(":")[0] for line in found] == [
        "container ids differ",
        "pod UIDs differ",
        "sandbox ids differ",
    ]
    assert contradictions(names, CgroupIds(container_id=ID, pod_uid=UID), BUNDLE, [], {}) == []
