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

Kind = Literal["sandbox", "container"]

CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_ANY_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.+-]{0,127}")
# <bundle>/config.json of containerd and runc, <dir>/userdata/config.json of CRI-O and podman.
_BUNDLE = re.compile(r"/([^/]{1,128})(?:/userdata)?/(?:config|state)\.json")
_LOG_DIRECTORY = re.compile(r"/var/log/pods/([a-z0-9.-]{1,253})_([a-z0-9.-]{1,253})_([0-9A-Za-z-]{1,64})/?")
_POD_MOUNT = re.compile(r"/pods/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})(?:/|\Z)")
_SANDBOX_MOUNT = re.compile(r"/(?:sandboxes|overlay-containers)/([0-9a-f]{64})(?:/|\Z)")

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
    found = _BUNDLE.search(path[-300:])
    name = found.group(1) if found and found.end() == len(path[-300:]) else None
    return name if name and _ANY_ID.fullmatch(name) else None


def pod_uid_of_mount(source: str) -> str | None:
    """The pod UID in a path of kubelet's (`/var/lib/kubelet/pods/<uid>/...`), wherever its root is."""
    found = _POD_MOUNT.search(source[:4096])
    return found.group(1) if found else None


def sandbox_id_of_mount(source: str) -> str | None:
    """The sandbox id in a path of containerd's or CRI-O's (`.../sandboxes/<id>/shm`)."""
    found = _SANDBOX_MOUNT.search(source[:4096])
    return found.group(1) if found else None


def names_of(annotations: dict[str, str], cgroup: CgroupIds | None, path: str) -> Names:
    """Put together what annotations, cgroup and path say; annotations speak first, the path for the id."""
    from_path = container_id_of_path(path)
    get = annotations.get
    cri = any(key.startswith(CRI) for key in annotations)
    crio = not cri and any(key.startswith(CRIO) for key in annotations)
    kind_text = get(CRI + "container-type") or get(CRIO + "ContainerType")
    kind: Kind | None = (
        "sandbox" if kind_text == "sandbox" else "container" if kind_text == "container" else None
    )
    sandbox_id = _id(get(CRI + "sandbox-id") or get(CRIO + "SandboxID"))
    log = _LOG_DIRECTORY.fullmatch(get(CRI + "sandbox-log-directory", "")[:1024])
    logged = (log.group(1), log.group(2), log.group(3)) if log else (None, None, None)
    own = _id(get(CRIO + "ContainerID")) or (sandbox_id if kind == "sandbox" else None)
    name = (
        get(CRI + "container-name")
        or get(LABEL + "container.name")
        or _crio_name(get(CRIO + "Metadata"), kind)
    )
    return Names(
        container_id=from_path or own or (cgroup.container_id if cgroup else None),
        kind=kind,
        engine="containerd" if cri else "cri-o" if crio else _engine(path, cgroup),
        # The kubelet labels a sandbox POD; it has no name in the pod's spec.
        container_name=None if kind == "sandbox" else name,
        image=get(CRI + "image-name") or get(CRI + "podsandbox.image-name") or get(CRIO + "ImageName"),
        sandbox_id=sandbox_id,
        pod_name=get(CRI + "sandbox-name") or get(LABEL + "pod.name") or get(CRIO + "KubeName") or logged[1],
        namespace=get(CRI + "sandbox-namespace")
        or get(LABEL + "pod.namespace")
        or get(CRIO + "Namespace")
        or logged[0],
        pod_uid=get(CRI + "sandbox-uid")
        or get(LABEL + "pod.uid")
        or (cgroup.pod_uid if cgroup else None)
        or logged[2],
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
    ids = {one for one in (from_path, own, in_cgroup) if one and CONTAINER_ID.fullmatch(one)}
    if len(ids) > 1:
        out.append("container ids differ: " + " ".join(sorted(ids)))
    uids = {names.pod_uid, cgroup.pod_uid if cgroup else None, *map(pod_uid_of_mount, mounts)} - {None}
    if len(uids) > 1:
        out.append("pod UIDs differ: " + " ".join(sorted(uid for uid in uids if uid)))
    sandboxes = {names.sandbox_id, *map(sandbox_id_of_mount, mounts)} - {None}
    if names.sandbox_id and len(sandboxes) > 1:
        out.append("sandbox ids differ: " + " ".join(sorted(one for one in sandboxes if one)))
    return out


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
