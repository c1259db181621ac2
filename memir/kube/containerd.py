# SPDX-License-Identifier: Apache-2.0
"""What containerd keeps of its containers in meta.db, by the database's own tree.

core/metadata/buckets.go and boltutil of containerd/containerd: v1/<namespace>/containers/<id>/{image, spec, labels/,
runtime/, extensions/ ...}, v1/<namespace>/images/<name>/target/digest. A container is there from its creation until it
is removed, running or not. The CRI plugin's labels and its own metadata (internal/cri/store/container) are among them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace

from memir.kube.annotations import CONTAINER_ID, Kind
from memir.kube.bolt import Bucket
from memir.kube.fields import Fields
from memir.kube.oci import OciSpec, spec_of
from memir.kube.tornjson import read_object

KIND, NAME = b"io.cri-containerd.kind", b"io.kubernetes.container.name"
POD_NAME, POD_NAMESPACE, POD_UID = (b"io.kubernetes.pod." + label for label in (b"name", b"namespace", b"uid"))
_METADATA = b"io.cri-containerd.container.metadata"
# <state>/io.containerd.runtime.v2.task/<namespace>/<id>/config.json; <root>/runc/<namespace>/<id>/state.json
_BUNDLE = re.compile(r"/(?:io\.containerd\.runtime\.v[12]\.(?:task|linux)|runc|runtime-runc)/([^/]{1,76})/[^/]{1,76}/")
_DIGEST = re.compile(rb"sha(?:256|384|512):[0-9a-f]{64,128}")
_TEXT_LIMIT = 1024  # names and images are below 300 bytes


@dataclass(frozen=True, slots=True)
class Registered:
    """A container that containerd knows; None is what it does not say.

    namespace: containerd's (k8s.io, moby, default), not Kubernetes'. attempt: how often the kubelet made this container
    before. spec: its OCI spec.
    """

    container_id: str
    namespace: str
    kind: Kind | None = None
    image: str | None = None
    container_name: str | None = None
    pod_name: str | None = None
    pod_namespace: str | None = None
    pod_uid: str | None = None
    sandbox_id: str | None = None
    attempt: int | None = None
    spec: OciSpec | None = None


@dataclass
class Registry:
    """Containers by id, and whether the tree was read whole: only then one that is not in it has been removed.

    images: digest of each image by its names, of which one image may have many; a name that two namespaces give to
    two images is left out. specs: the texts of whole specs that are of the container that they stand for.
    """

    containers: dict[str, Registered] = field(default_factory=dict)
    whole: bool = False
    images: dict[str, str] = field(default_factory=dict)
    specs: set[bytes] = field(default_factory=set)

    def joined(self, other: Registry) -> Registry:
        """This and another database of the node's, whose entries count where both have one."""
        images = {**self.images, **other.images}
        split = {name for name in self.images.keys() & other.images if self.images[name] != other.images[name]}
        return Registry(
            self.containers | other.containers,
            self.whole and other.whole,
            {name: digest for name, digest in images.items() if name not in split},
            self.specs | other.specs,
        )


def registry(root: Bucket, where: str) -> Registry:
    """The containers of all of containerd's namespaces. where: the file's path, for the specs."""
    known = Registry(whole=not root.holes)
    top = root.bucket(b"v1") or Bucket()
    known.whole &= b"v1" in root.buckets and not top.holes
    digests: dict[str, set[str]] = defaultdict(set)
    for key, namespace in top.buckets.items():
        containers = namespace.buckets.get(b"containers")
        known.whole &= not namespace.holes and (containers is None or containers.whole())
        for ident, bucket in (containers or Bucket()).buckets.items():
            container_id = _text(ident)
            if container_id:
                known.containers[container_id] = _container(
                    container_id, _text(key) or "", bucket, where, known.specs
                )
        for name, bucket in (namespace.buckets.get(b"images") or Bucket()).buckets.items():
            digest = (bucket.bucket(b"target") or Bucket()).values.get(b"digest", b"")
            if _DIGEST.fullmatch(digest):
                digests[_text(name) or ""].add(digest.decode())
    known.images = {name: known_as.pop() for name, known_as in digests.items() if name and len(known_as) == 1}
    return known


def namespace_of(path: str) -> str | None:
    """containerd's namespace in the path of a bundle's config.json or of runc's state.json."""
    match = _BUNDLE.search(path[-4096:])
    return match.group(1) if match else None


def _container(container_id: str, namespace: str, bucket: Bucket, where: str, specs: set[bytes]) -> Registered:
    labels = (bucket.bucket(b"labels") or Bucket()).values
    kind = labels.get(KIND)
    named = {name: _text(labels.get(key)) for name, key in (
        ("container_name", NAME), ("pod_name", POD_NAME), ("pod_namespace", POD_NAMESPACE), ("pod_uid", POD_UID),
    )}  # fmt: skip
    sandbox_id, attempt = _cri(bucket)
    if kind == b"sandbox":
        named["container_name"], sandbox_id = None, container_id
    return Registered(
        container_id,
        namespace,
        # whoever makes containers without the CRI plugin makes no sandboxes
        kind="sandbox" if kind == b"sandbox" else "container",
        image=_text(bucket.values.get(b"image")),
        sandbox_id=sandbox_id,
        attempt=attempt,
        spec=_spec(bucket.values.get(b"spec", b""), container_id, where, specs),
        **named,
    )


def _cri(bucket: Bucket) -> tuple[str | None, int | None]:
    """Sandbox id and attempt of the CRI plugin's own metadata."""
    raw = (bucket.bucket(b"extensions") or Bucket()).values.get(_METADATA, b"")
    start = raw.find(b"{")  # behind a protobuf Any's type and length
    document = read_object(raw[start:]) if 0 <= start < 256 else None
    if document is None:
        return None, None
    read = Fields()
    inner = read.object(document.value, "Metadata")
    sandbox = read.string(inner, "SandboxID")
    made = read.object(read.object(inner, "Config"), "metadata")
    # JSON of Go leaves out a zero
    attempt = read.number(made, "attempt", 1 << 31) if "attempt" in made else 0 if made and document.complete else None
    return sandbox if sandbox and CONTAINER_ID.fullmatch(sandbox) else None, attempt


def _spec(raw: bytes, container_id: str, where: str, specs: set[bytes]) -> OciSpec | None:
    start = raw.find(b'{"ociVersion"')
    document = read_object(raw[start:], part_lists=("env", "mounts")) if start >= 0 else None
    spec = spec_of(document, f"meta.db:{where}#{container_id}") if document is not None else None
    if spec is None or document is None:
        return None
    if document.complete and spec.container_id in (container_id, None):
        specs.add(raw[start : start + document.length])
    return replace(spec, container_id=container_id)


def _text(raw: bytes | None) -> str | None:
    return raw[:_TEXT_LIMIT].decode("utf-8", "backslashreplace") or None if raw else None
