# SPDX-License-Identifier: Apache-2.0
"""containerd's metadata: containers of Kubernetes and of others, by the database's tree."""

from __future__ import annotations

import json
from typing import Any

from memir.kube.bolt import Bucket
from memir.kube.containerd import Registered, Registry, namespace_of, registry

ID, SANDBOX, OTHER = "a" * 64, "b" * 64, "helper"
UID = "aaaaaaaa-1111-4111-8111-0123456789ab"
PATH = "/var/lib/containerd/io.containerd.metadata.v1.bolt/meta.db"


def any_of(value: dict[str, Any]) -> bytes:
    """A protobuf Any around JSON, as containerd keeps it."""
    return b"\n\x04type\x12\x99\x01" + json.dumps(value).encode()


def container(labels: dict[str, str], *, kind: str, extension: dict[str, Any] | None = None) -> Bucket:
    spec = {"ociVersion": "1.0.2", "process": {"args": [kind]}, "linux": {"namespaces": []}}
    buckets = {b"labels": Bucket({key.encode(): value.encode() for key, value in labels.items()})}
    if extension is not None:
        buckets[b"extensions"] = Bucket({b"io.cri-containerd.container.metadata": any_of(extension)})
    return Bucket({b"image": f"registry.example/{kind}:1".encode(), b"spec": any_of(spec)}, buckets)


def pod(name: str) -> dict[str, str]:
    return {"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": UID}


def database(holes: list[str] | None = None) -> Bucket:
    metadata = {"Version": "v1", "Metadata": {"ID": ID, "SandboxID": SANDBOX, "Config": {"metadata": {"attempt": 3}}}}
    web = container(
        {**pod("web-0"), "io.cri-containerd.kind": "container", "io.kubernetes.container.name": "web"},
        kind="web", extension=metadata,
    )  # fmt: skip
    sandbox = container({**pod("web-0"), "io.cri-containerd.kind": "sandbox"}, kind="pause")
    kubernetes = Bucket({}, {ID.encode(): web, SANDBOX.encode(): sandbox}, holes or [])
    by_hand = Bucket({}, {OTHER.encode(): container({}, kind="helper")})
    return Bucket(
        {}, {b"v1": Bucket({}, {
            b"k8s.io": Bucket({}, {b"containers": kubernetes, b"images": Bucket()}),
            b"default": Bucket({}, {b"containers": by_hand}),
            b"moby": Bucket(),
        })},
    )  # fmt: skip


def test_containers_of_all_namespaces() -> None:
    found = registry(database(), PATH)
    assert found.whole
    web, sandbox, helper = (found.containers[at] for at in (ID, SANDBOX, OTHER))
    assert web.spec is not None
    assert (web.spec.args, web.spec.container_id, web.spec.where) == (("web",), ID, f"meta.db:{PATH}#{ID}")
    assert web == Registered(
        ID, "k8s.io", "container", "registry.example/web:1", "web", "web-0", "shop", UID, SANDBOX, 3, web.spec
    )
    assert (sandbox.kind, sandbox.container_name, sandbox.sandbox_id, sandbox.attempt) == (
        "sandbox",
        None,
        SANDBOX,
        None,
    )
    assert (helper.namespace, helper.kind, helper.image, helper.pod_uid, helper.container_name) == (
        "default", "container", "registry.example/helper:1", None, None,
    )  # fmt: skip


def image(digest: bytes) -> Bucket:
    return Bucket(
        {}, {b"target": Bucket({b"digest": digest, b"mediatype": b"application/vnd.oci.image.manifest.v1+json"})}
    )


def test_names_of_images() -> None:
    """One image has several names; a name that means two images in two namespaces means none."""
    first, second = b"sha256:" + b"a" * 64, b"sha256:" + b"b" * 64
    spaces = {
        b"k8s.io": {b"docker.io/library/busybox:1.35": image(first), b"ecr.example/init:1": image(first),
                    b"twice:1": image(first), b"odd:1": image(b"sha256:zz"), b"none:1": Bucket()},
        b"lurk": {b"twice:1": image(second), b"own:1": image(second)},
    }  # fmt: skip
    top = {key: Bucket({}, {b"images": Bucket({}, names)}) for key, names in spaces.items()}
    assert registry(Bucket({}, {b"v1": Bucket({}, top)}), PATH).images == {
        "docker.io/library/busybox:1.35": first.decode(), "ecr.example/init:1": first.decode(),
        "own:1": second.decode(),
    }  # fmt: skip


def test_a_tree_with_holes_proves_no_removal() -> None:
    assert not registry(database(["page 5: page not in memory"]), PATH).whole
    assert registry(Bucket(), PATH) == Registry({}, False)


def test_metadata_that_lies() -> None:
    """Types that it should not have are no facts."""
    for attempt in (-1, 1 << 31):
        wrong = {"Metadata": {"SandboxID": 7, "Config": {"metadata": {"attempt": attempt}}}}
        bucket = container({}, kind="x", extension=wrong)
        bucket.values[b"spec"] = b"\xff" * 100
        found = registry(
            Bucket({}, {b"v1": Bucket({}, {b"k": Bucket({}, {b"containers": Bucket({}, {b"x": bucket})})})}), PATH
        ).containers["x"]
        assert (found.sandbox_id, found.attempt, found.spec) == (None,) * 3


def test_namespace_in_a_path() -> None:
    root = "/run/containerd"
    for path, namespace in (
        (f"{root}/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json", "k8s.io"),
        (f"{root}/io.containerd.runtime.v2.task/default/helper/config.json", "default"),
        (f"{root}/runc/k8s.io/{ID}/state.json", "k8s.io"),
        (f"/run/docker/runtime-runc/moby/{ID}/state.json", "moby"),
        (f"/run/runc/{ID}/state.json", None),
        (f"meta.db:{PATH}+0x1000", None),
    ):
        assert namespace_of(path) == namespace


def test_whole_specs_are_told_with_their_text() -> None:
    """Of containers whose spec names no other one: those of which another copy is nothing new."""
    root = database()
    spec = root.buckets[b"v1"].buckets[b"default"].buckets[b"containers"].buckets[OTHER.encode()].values
    text = spec[b"spec"][spec[b"spec"].index(b"{") :]
    assert text in registry(root, PATH).specs
    spec[b"spec"] += b"}"  # what follows the document is not its own
    assert text in registry(root, PATH).specs
    spec[b"spec"] = spec[b"spec"][:-2]
    assert text not in registry(root, PATH).specs
    other = {"ociVersion": "1.0.2", "linux": {"cgroupsPath": f"/kubepods/burstable/pod{UID}/{ID}"}}
    spec[b"spec"] = any_of(other)
    found = registry(root, PATH)
    assert found.containers[OTHER].spec is not None
    assert len(found.specs) == 2  # web's and the sandbox's


def test_two_databases_of_a_node() -> None:
    """Containers, images and specs of both; a name that means two images means none."""
    first = Registry({ID: Registered(ID, "k8s.io")}, True, {"a": "sha256:1", "b": "sha256:2"}, {b"x"})
    second = Registry({OTHER: Registered(OTHER, "moby")}, True, {"b": "sha256:3", "c": "sha256:4"}, {b"y"})
    both = first.joined(second)
    assert (both.containers, both.whole) == (first.containers | second.containers, True)
    assert (both.images, both.specs) == ({"a": "sha256:1", "c": "sha256:4"}, {b"x", b"y"})
    assert not first.joined(Registry({}, False)).whole
