# SPDX-License-Identifier: Apache-2.0
"""Containers that containerd still knows, and where their writable layers lie, also of those that have ended.

containerd keeps a container and its snapshot until the kubelet removes it: of each container of a pod the last run that
ended stays, init containers too. By its databases (core/metadata/buckets.go, core/snapshots/storage/bolt.go):

    ROOT/io.containerd.metadata.v1.bolt/meta.db   v1/k8s.io/containers/ID/{snapshotKey, snapshotter, spec, labels/}
                                                  v1/k8s.io/snapshots/SNAPSHOTTER/KEY/{name}
    ROOT/io.containerd.snapshotter.v1.overlayfs/metadata.db   v1/snapshots/NAME/{id, parent}; snapshots/ID/fs is a layer

Nothing is mounted and nothing asked of containerd.
"""

import json
import os
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from memir.collect.node.bolt import Bolt, BoltError, Place
from memir.collect.node.frames import Frames
from memir.collect.node.overlay import Mount, Root, overlay_options

ROOTS = ("/var/lib/containerd", "/var/lib/rancher/k3s/agent/containerd", "/var/lib/rancher/rke2/agent/containerd")
META = "io.containerd.metadata.v1.bolt/meta.db"
PLUGIN = "/io.containerd.snapshotter.v1."
OVERLAYFS = "overlayfs"
UID = b"io.kubernetes.pod.uid"
MAX_LAYERS = 512
MAX_CONTAINERS = 100000
TRIES = 4


class Known(NamedTuple):
    """A container of the pod, as containerd has it. spec: its OCI spec as JSON; "" where it has none."""

    labels: Dict[str, str]
    image: str
    snapshotter: str
    key: str
    spec: bytes


class Containerd(NamedTuple):
    """What the databases say. root: containerd's, "" if there is none. why: what could not be read. layers: of each
    container, or why there is none."""

    root: str
    why: str
    containers: Dict[str, Known]
    layers: Dict[str, Root]
    without: Dict[str, str]


def containerd_of(uid: str, wanted: Iterable[str], mounts: List[Mount]) -> Containerd:
    """The pod's containers by their label, and those that are wanted by id."""
    root = _root(mounts)
    if not root:
        return Containerd("", "", {}, {}, {})
    why = ""
    for _ in range(TRIES):
        try:
            containers, names = _containers(root + "/" + META, uid, set(wanted))
            layers, without = _layers(root, containers, names)
            return Containerd(root, "", containers, layers, without)
        except (OSError, BoltError) as error:
            why = str(getattr(error, "strerror", None) or error)
    return Containerd(root, why, {}, {}, {})


def _root(mounts: List[Mount]) -> str:
    """Where containerd keeps its databases: by the overlays that are mounted, else where it is by default."""
    places = []
    for mount in mounts:
        upper = overlay_options(mount.options).get("upperdir", "") if mount.fstype == "overlay" else ""
        if PLUGIN in upper and upper.startswith("/"):
            places.append(upper.partition(PLUGIN)[0])
    for root in list(dict.fromkeys(places)) + list(ROOTS):
        if os.path.isfile(root + "/" + META):
            return root
    return ""


def _containers(path: str, uid: str, wanted: Any) -> Tuple[Dict[str, Known], Dict[str, str]]:
    """(containers, the snapshotter's name of each record's snapshot)."""
    database = Bolt(path)
    try:
        known: Dict[str, Known] = {}
        names: Dict[str, str] = {}
        place = database.bucket(b"v1", b"k8s.io", b"containers")
        for number, (key, inside) in enumerate(database.buckets(place) if place else ()):
            labels = database.below(inside, b"labels")
            words = database.values(labels) if labels else {}
            ident = _text(key)
            if number < MAX_CONTAINERS and (ident in wanted or (uid and words.get(UID) == uid.encode())):
                known[ident] = _known(database.values(inside), words)
        for ident, record in known.items():
            path_of = (b"v1", b"k8s.io", b"snapshots", record.snapshotter.encode(), record.key.encode())
            snapshot = database.bucket(*path_of) if record.key else None
            if snapshot is not None:
                names[ident] = _text(database.values(snapshot).get(b"name", b""))
        if not database.unchanged():
            raise BoltError("it changed while it was read")
        return known, names
    finally:
        database.close()


def _layers(root: str, known: Dict[str, Known], names: Dict[str, str]) -> Tuple[Dict[str, Root], Dict[str, str]]:
    layers: Dict[str, Root] = {}
    without: Dict[str, str] = {}
    chosen = {}
    for ident, record in known.items():
        if ident not in names:
            without[ident] = "containerd knows the container and has no snapshot of it any more"
        elif record.snapshotter != OVERLAYFS:
            kind = record.snapshotter or "no snapshotter"
            without[ident] = "its snapshot is of %s, and overlayfs's alone are read" % kind
        else:
            chosen[ident] = names[ident]
    if not chosen:
        return layers, without
    folder = root + PLUGIN + OVERLAYFS
    database = Bolt(folder + "/metadata.db")
    try:
        place = database.bucket(b"v1", b"snapshots")
        for ident, name in chosen.items():
            chain = _chain(database, place, name.encode("utf-8", "surrogateescape")) if place else []
            paths = ["%s/snapshots/%d/fs" % (folder, number) for number in chain]
            if not paths or not os.path.isdir(paths[0]):
                without[ident] = "its snapshot %s is gone from %s" % (name, folder)
                continue
            layers[ident] = Root("overlay", "", paths[0], paths[1:], "", "containerd's database: snapshot %s" % name)
        if not database.unchanged():
            raise BoltError("it changed while it was read")
    finally:
        database.close()
    return layers, without


def _chain(database: Bolt, place: Place, name: bytes) -> List[int]:
    """Ids of a snapshot and those below it, topmost first; as far as they are there."""
    chain: List[int] = []
    while name and len(chain) < MAX_LAYERS:
        bucket = database.below(place, name)
        values = database.values(bucket) if bucket else {}
        number = _varint(values.get(b"id", b""))
        if number is None or number in chain:
            break
        chain.append(number)
        name = values.get(b"parent", b"")
    return chain


def write_known(frames: Frames, known: Dict[str, Known]) -> None:
    """node/runtime/ID/containerd/config.json and container.json: what containerd has of each container."""
    for ident in sorted(known):
        record = known[ident]
        place = "node/runtime/%s/containerd" % ident
        if record.spec:
            frames.file(place + "/config.json", record.spec)
        facts = {
            "labels": record.labels, "image": record.image, "snapshotter": record.snapshotter, "snapshot": record.key,
        }  # fmt: skip
        frames.file(place + "/container.json", json.dumps(facts, indent=1, sort_keys=True).encode("ascii"))


def _known(values: Dict[bytes, bytes], labels: Dict[bytes, bytes]) -> Known:
    words = {_text(key): _text(value) for key, value in labels.items()}
    image, snapshotter, key = (_text(values.get(name, b"")) for name in (b"image", b"snapshotter", b"snapshotKey"))
    return Known(words, image, snapshotter, key, _any_value(values.get(b"spec", b"")))


def _any_value(data: bytes) -> bytes:
    """`value` of a google.protobuf.Any (1: type_url, 2: value); b"" for what is none."""
    while data:
        tag, data = data[0], data[1:]
        end = next((number for number, byte in enumerate(bytearray(data[:10]), 1) if byte < 0x80), 0)
        size = _varint(data[:end])
        if tag & 7 != 2 or size is None or end + size > len(data):
            return b""
        if tag >> 3 == 2:
            return data[end : end + size]
        data = data[end + size :]
    return b""


def _varint(data: bytes) -> Optional[int]:
    """An unsigned varint that is all of `data`; None for what is none."""
    if not 0 < len(data) <= 10 or data[-1] & 0x80:
        return None
    return sum((byte & 0x7F) << 7 * row for row, byte in enumerate(bytearray(data)))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
