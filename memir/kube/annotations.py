# SPDX-License-Identifier: Apache-2.0
"""Who a container is by its OCI annotations, its bundle's path and its cgroup.

containerd: internal/cri/annotations/annotations.go; CRI-O: pkg/annotations/annotations.go, which also
copies the kubelet's labels (`io.kubernetes.pod.*`, pkg/kubelet/types/labels.go) into the annotations.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from memir.kube.cgroups import CgroupIds
from memir.kube.paths import pod_uid_of, sandbox_id_of, storage_id_of

Kind = Literal["sandbox", "container"]

CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_ANY_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.+-]{0,127}")
# <bundle>/config.json of containerd and runc, <dir>/userdata/config.json of CRI-O and podman.
_BUNDLE = re.compile(r"/([^/]{1,128})(?:/userdata)?/(?:config|state)\.json")
_LOG_DIRECTORY = re.compile(r"/var/log/pods/([a-z0-9.-]{1,253})_([a-z0-9.-]{1,253})_([0-9A-Za-z-]{1,64})/?")
# Wider than the API server's rules, for crictl takes more; narrow enough for a terminal and a file name.
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,252}")
_IMAGE = re.compile(r"[!-~]{1,1024}")

CRI = "io.kubernetes.cri."
CRIO = "io.kubernetes.cri-o."
LABEL = "io.kubernetes."


@dataclass(frozen=True, slots=True)
class Names:
    """What a container is called; None is not known."""

    container_id: str | None = None
    kind: Kind | None = None
    engine: str | None = None
    container_name: str | None = None
    image: str | None = None
    sandbox_id: str | None = None
    pod_name: str | None = None
    namespace: str | None = None
    pod_uid: str | None = None


def container_id_of_path(path: str) -> str | None:
    """The container id in the path of a config.json or state.json; None for any other text.

    An id that is not 64 hex digits (`ctr run ... helper`) counts too.
    """
    match = _BUNDLE.search(path[-300:])
    name = match.group(1) if match and match.end() == len(path[-300:]) else None
    return name if name and _ANY_ID.fullmatch(name) else None


def names_of(annotations: dict[str, str], cgroup: CgroupIds | None, path: str, doubts: list[str]) -> Names:
    """Put together what annotations, cgroup and path say; annotations speak first, the path for the id.

    A text that cannot be such a name is left out, and `doubts` says so.
    """
    from_path = container_id_of_path(path)
    get = annotations.get
    cri = any(key.startswith(CRI) for key in annotations)
    crio = not cri and any(key.startswith(CRIO) for key in annotations)
    kind_text = get(CRI + "container-type") or get(CRIO + "ContainerType")
    kind: Kind | None = "sandbox" if kind_text == "sandbox" else "container" if kind_text == "container" else None
    sandbox_id = _id(get(CRI + "sandbox-id") or get(CRIO + "SandboxID"))
    log = _LOG_DIRECTORY.fullmatch(get(CRI + "sandbox-log-directory", "")[:1024])
    logged = (log.group(1), log.group(2), log.group(3)) if log else (None, None, None)
    own = _id(get(CRIO + "ContainerID")) or (sandbox_id if kind == "sandbox" else None)
    name = get(CRI + "container-name") or get(LABEL + "container.name") or _crio_name(get(CRIO + "Metadata"), kind)
    image = get(CRI + "image-name") or get(CRI + "podsandbox.image-name") or get(CRIO + "ImageName")
    pod_name = get(CRI + "sandbox-name") or get(LABEL + "pod.name") or get(CRIO + "KubeName") or logged[1]
    namespace = get(CRI + "sandbox-namespace") or get(LABEL + "pod.namespace") or get(CRIO + "Namespace")
    uid = get(CRI + "sandbox-uid") or get(LABEL + "pod.uid")
    return Names(
        container_id=from_path or own or (cgroup.container_id if cgroup else None),
        kind=kind,
        engine="containerd" if cri else "cri-o" if crio else _engine(path, cgroup),
        # The kubelet labels a sandbox POD; it has no name in the pod's spec.
        container_name=None if kind == "sandbox" else _name(name, doubts),
        image=_name(image, doubts, _IMAGE),
        sandbox_id=sandbox_id,
        pod_name=_name(pod_name, doubts),
        namespace=_name(namespace or logged[0], doubts),
        pod_uid=_name(uid, doubts) or (cgroup.pod_uid if cgroup else None) or logged[2],
    )


def contradictions(
    names: Names, cgroup: CgroupIds | None, path: str, mounts: list[str], annotations: dict[str, str]
) -> list[str]:
    """What in one spec names two pods or two containers: it was altered, or put together of two."""
    out: list[str] = []
    from_path = container_id_of_path(path)
    in_cgroup = cgroup.container_id if cgroup else None
    own = _id(annotations.get(CRIO + "ContainerID"))
    if names.kind == "sandbox":
        own = own or names.sandbox_id
    ids = {ident for ident in (from_path, own, in_cgroup) if ident and CONTAINER_ID.fullmatch(ident)}
    if len(ids) > 1:
        out.append("container ids differ: " + " ".join(sorted(ids)))
    uids = {names.pod_uid, cgroup.pod_uid if cgroup else None, *map(pod_uid_of, mounts)} - {None}
    if len(uids) > 1:
        out.append("pod UIDs differ: " + " ".join(sorted(uid for uid in uids if uid)))
    sandboxes = {names.sandbox_id, *map(sandbox_id_of, mounts), *map(storage_id_of, mounts)}
    sandboxes -= {None, names.container_id if names.kind == "container" else None}
    if names.sandbox_id and len(sandboxes) > 1:
        out.append("sandbox ids differ: " + " ".join(sorted(ident for ident in sandboxes if ident)))
    return out


def _name(text: str | None, doubts: list[str], pattern: re.Pattern[str] = _NAME) -> str | None:
    if text and not pattern.fullmatch(text):
        doubts.append(f"{text[:40]!a} is not a name")
        return None
    return text or None


def _id(text: str | None) -> str | None:
    return text if text and CONTAINER_ID.fullmatch(text) else None


def _crio_name(metadata: str | None, kind: Kind | None) -> str | None:
    """CRI-O's Metadata annotation is JSON of the CRI metadata: {"name": ..., "attempt": ...}."""
    if not metadata or kind != "container" or len(metadata) > 4096:
        return None
    try:
        value = json.loads(metadata)
    except (ValueError, RecursionError):
        return None
    name = value.get("name") if isinstance(value, dict) else None
    return name if isinstance(name, str) and name else None


def _engine(path: str, cgroup: CgroupIds | None) -> str | None:
    if "/moby/" in path or "/docker/" in path:
        return "docker"
    if "/containerd/" in path:
        return "containerd"
    return cgroup.runtime if cgroup else None
