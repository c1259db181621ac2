# SPDX-License-Identifier: Apache-2.0
"""containerd's metadata of containers, as it keeps them in meta.db.

The buckets: https://github.com/containerd/containerd/blob/v1.6.36/metadata/buckets.go and containers.go.
"""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime

from tests.lab import pods
from tests.lab.bolt import Bucket, database
from tests.lab.documents import all_containers, config_json
from tests.lab.pods import Container, Pod

_SPEC = "types.containerd.io/opencontainers/runtime-spec/1/Spec"


def _time(text: str) -> bytes:
    """Go's time.MarshalBinary: version, seconds since the year 1, nanoseconds, -1 for UTC."""
    seconds = (datetime.fromisoformat(text) - datetime(1, 1, 1, tzinfo=UTC)).total_seconds()
    return struct.pack(">BqIh", 1, int(seconds), 0, -1)


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def _any(kind: str, value: bytes) -> bytes:
    """google.protobuf.Any: type_url and value."""
    return b"\x0a" + _varint(len(kind)) + kind.encode() + b"\x12" + _varint(len(value)) + value


def _labels(pod: Pod | None, container: Container) -> dict[str, str]:
    if pod is None:
        return {"io.containerd.image.config.stop-signal": "SIGTERM", "io.cri-containerd.image": "managed"}
    sandbox = container == pod.sandbox
    named = {"pod.name": pod.name, "pod.namespace": pod.namespace, "pod.uid": pod.uid}
    if not sandbox:
        named["container.name"] = container.name
    kept = {f"io.kubernetes.{key}": value for key, value in named.items()}
    return kept | {"io.cri-containerd.kind": "sandbox" if sandbox else "container"} | (pod.labels if sandbox else {})


def _container(pod: Pod | None, container: Container) -> Bucket:
    spec = json.dumps(config_json(pod, container), separators=(",", ":")).encode()
    labels: Bucket = {key.encode(): value.encode() for key, value in _labels(pod, container).items()}
    return {
        b"createdat": _time(pods.STARTED),
        b"image": container.image.encode(),
        b"labels": labels,
        b"runtime": {b"name": b"io.containerd.runc.v2", b"options": _any("containerd.runc.v1.Options", b"H\1")},
        b"snapshotKey": container.id.encode(),
        b"snapshotter": b"overlayfs",
        b"spec": _any(_SPEC, spec),
        b"updatedat": _time(pods.STARTED),
    }


def meta_db() -> bytes:
    """The database file."""
    containers: Bucket = {one.id.encode(): _container(pod, one) for pod, one in all_containers()}
    return database({b"v1": {b"k8s.io": {b"containers": containers}, b"version": b"\6"}})
