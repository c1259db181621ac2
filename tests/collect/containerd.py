# SPDX-License-Identifier: Apache-2.0
"""containerd's databases below a folder, as containerd writes them: a pod's containers that have ended."""

from __future__ import annotations

import json
from pathlib import Path

from tests.lab.bolt import Bucket, database

META = "io.containerd.metadata.v1.bolt/meta.db"
OVERLAYFS = "io.containerd.snapshotter.v1.overlayfs"


def spec_of(pod: tuple[str, str, str], container: str) -> bytes:
    """An OCI spec in a protobuf Any, as containerd keeps it. pod: namespace, name, UID."""
    namespace, name, uid = pod
    annotations = {
        "io.kubernetes.cri.container-type": "container", "io.kubernetes.cri.container-name": container,
        "io.kubernetes.cri.sandbox-name": name, "io.kubernetes.cri.sandbox-namespace": namespace,
        "io.kubernetes.cri.sandbox-uid": uid,
    }  # fmt: skip
    text = json.dumps({"ociVersion": "1.2.0", "annotations": annotations, "process": {"args": ["/" + container]}})
    return _any(text.encode())


def _any(value: bytes) -> bytes:
    size = len(value)
    return b"\n\x04type\x12" + bytes([size & 0x7F | 0x80, size >> 7]) + value


def write(root: Path, pod: tuple[str, str, str], ended: dict[str, tuple[str, int | None, str]]) -> None:
    """ended: container id -> (name, snapshot's number or None, snapshotter). Each snapshot lies on number 1."""
    containers: Bucket = {}
    keys: dict[str, Bucket] = {}
    snapshots: Bucket = {b"k8s.io/1/sha256:image": {b"id": b"\x01", b"kind": b"\x03"}}
    for ident, (name, number, snapshotter) in ended.items():
        labels: Bucket = {b"io.kubernetes.pod.uid": pod[2].encode(), b"io.kubernetes.container.name": name.encode()}
        containers[ident.encode()] = {
            b"image": b"registry.example/wait:1", b"labels": labels, b"snapshotKey": ident.encode(),
            b"snapshotter": snapshotter.encode(), b"spec": spec_of(pod, name),
        }  # fmt: skip
        if number is not None:
            backend = f"k8s.io/{number}/{ident}".encode()
            keys.setdefault(snapshotter, {})[ident.encode()] = {b"name": backend}
            snapshots[backend] = {b"id": bytes([number]), b"kind": b"\x02", b"parent": b"k8s.io/1/sha256:image"}
    by_snapshotter: Bucket = {name.encode(): bucket for name, bucket in keys.items()}
    meta: Bucket = {b"v1": {b"k8s.io": {b"containers": containers, b"snapshots": by_snapshotter}, b"version": b"\6"}}
    known: Bucket = {b"v1": {b"snapshots": snapshots}}
    for path, content in ((META, meta), (f"{OVERLAYFS}/metadata.db", known)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(database(content))
