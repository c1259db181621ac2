# SPDX-License-Identifier: Apache-2.0
"""What one segment of a cgroup path says by itself: a pod, a container, a runtime's monitor, or nothing.

Who writes which name:

- kubelet, pod segments: pkg/kubelet/cm/cgroup_manager_linux.go and util.go of kubernetes/kubernetes
- runc, crun: `<prefix>-<name>.scope` from an OCI cgroupsPath `slice:prefix:name` (opencontainers/runc
  docs/systemd.md); run with the cgroupfs driver they take the same string for a directory name
- CRI-O and podman: internal/config/cgmgr of cri-o/cri-o, libpod/container_internal_linux.go of
  containers/podman; conmon sits beside the container in `crio-conmon-<id>`, `libpod-conmon-<id>`
- Kata: docs/design/host-cgroups.md of kata-containers/kata-containers
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Driver = Literal["systemd", "cgroupfs", "mismatch"]
Qos = Literal["Guaranteed", "Burstable", "BestEffort"]
Guest = Literal["kata", "gvisor"]

# The prefix before an id.
RUNTIMES = {
    "cri-containerd": "containerd",
    "containerd": "containerd",
    "nerdctl": "containerd",
    "crio": "cri-o",
    "docker": "docker",
    "libpod": "podman",
    "libpod-payload": "podman",
    "podman": "podman",
    "runc": "runc",
    "crun": "crun",
    "runsc": "gvisor",
    "kata": "kata",
}
# Directories above containers that tell the runtime of a bare id anywhere below.
PARENTS = {"docker": "docker", "libpod_parent": "podman", "ecs": "ecs"}
# containerd's namespaces: the directory right above, when a client gives it no cgroupsPath.
_NAMESPACES = {"moby": "docker", "k8s.io": "containerd", "default": "containerd"}
# Scope prefixes after which a name that is not 64 hex digits is still a container's.
_NAMED = ("runc", "crun", "runsc", "nerdctl", "cri-containerd")
_MONITORS = {"crio-conmon": "cri-o", "libpod-conmon": "podman"}
_QOS: dict[str, Qos] = {"burstable": "Burstable", "besteffort": "BestEffort"}

_HEX64 = re.compile(r"[0-9a-fA-F]{64}")
HEX32 = re.compile(r"[0-9a-fA-F]{32}")
UUID = re.compile(r"[0-9a-fA-F]{8}([-_])[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}")
_FARGATE = re.compile(r"[0-9a-fA-F]{32}-[0-9]{1,10}")
_UID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,251}")
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.+-]{0,127}")


@dataclass(slots=True)
class ContainerSegment:
    """A container segment as read by itself."""

    container_id: str | None = None
    name: str | None = None
    runtime: str | None = None
    driver: Driver | None = None
    monitor_of: str | None = None
    sandbox: bool = False
    guest: Guest | None = None


def pod_segment(segment: str, before: str) -> tuple[str | None, Qos | None]:
    """(pod UID, QoS) of a pod's segment: `...kubepods-burstable-pod<uid>.slice` or `pod<uid>`."""
    if segment.endswith(".slice"):
        head, _, raw = segment[:-6].rpartition("-pod")
        if not head.endswith(("kubepods", "kubepods-burstable", "kubepods-besteffort")):
            return None, None
        return _uid(raw, escaped=True), _QOS.get(head.rpartition("-")[2], "Guaranteed")
    if not segment.startswith("pod"):
        return None, None
    in_kubepods = before in _QOS or before.endswith("kubepods")
    uid = _uid(segment[3:], escaped=False)
    if uid is None or not (in_kubepods or _strict(uid)):
        return None, None
    return uid, _QOS.get(before, "Guaranteed" if in_kubepods else None)


def _strict(uid: str) -> bool:
    return bool(UUID.fullmatch(uid) or HEX32.fullmatch(uid))


def _uid(raw: str, escaped: bool) -> str | None:
    """A UID as the API writes it. The kubelet turns `-` into `_` in a systemd name."""
    if UUID.fullmatch(raw):
        return raw.replace("_", "-").lower()
    if HEX32.fullmatch(raw):
        return raw.lower()
    # A static pod's manifest may carry any text for a UID; its case is its own.
    if not _UID.fullmatch(raw):
        return None
    return raw.replace("_", "-") if escaped else raw


def from_colons(rest: str) -> ContainerSegment | None:
    """`prefix:name` after a slice: a systemd cgroupsPath that became a directory name."""
    prefix, colon, name = rest.partition(":")
    if not colon or ":" in name:
        return None
    runtime = RUNTIMES.get(prefix)
    if _HEX64.fullmatch(name):
        return ContainerSegment(container_id=name.lower(), runtime=runtime, driver="mismatch")
    if runtime and _NAME.fullmatch(name):
        return ContainerSegment(name=name, runtime=runtime, driver="mismatch")
    return None


def container_segment(segment: str, before: str, parent: str | None) -> ContainerSegment | None:
    """A container's own segment: a bare id, `<prefix>-<id>`, `<prefix>-<id>.scope`, `kata_<id>`."""
    stem = segment.removesuffix(".scope")
    driver: Driver = "systemd" if stem != segment else "cgroupfs"
    ident = stem[-64:]
    if not _HEX64.fullmatch(ident):
        return _odd(stem, driver, parent)
    ident = ident.lower()
    if len(stem) == 64:
        # ECS hands ids of 64 digits to Docker; Fargate has its own form since it runs containerd (1.4).
        runtime = _NAMESPACES.get(before, "docker" if parent == "ecs" else parent)
        return ContainerSegment(ident, driver=driver, runtime=runtime)
    prefix, dash = stem[:-65], stem[-65]
    if prefix == "kata" and dash in "_-":
        return ContainerSegment(ident, driver=driver, runtime="kata", sandbox=True, guest="kata")
    if dash != "-" or prefix.endswith("_pod"):
        return None
    if prefix in _MONITORS:
        return ContainerSegment(monitor_of=ident, runtime=_MONITORS[prefix], driver=driver)
    runtime = RUNTIMES.get(prefix)
    # An unknown prefix counts in a scope only: runc takes any, and units such as mounts end otherwise.
    if runtime is None and driver != "systemd":
        return None
    return ContainerSegment(ident, runtime=runtime, driver=driver, guest="gvisor" if runtime == "gvisor" else None)


def _odd(stem: str, driver: Driver, parent: str | None) -> ContainerSegment | None:
    """Container names that are not 64 hex digits."""
    if parent == "ecs" and _FARGATE.fullmatch(stem):
        return ContainerSegment(stem.lower(), runtime="containerd", driver=driver)
    if driver != "systemd":
        return None
    for prefix in _NAMED:
        name = stem[len(prefix) + 1 :]
        if stem.startswith(prefix + "-") and _NAME.fullmatch(name):
            runtime = RUNTIMES[prefix]
            guest: Guest | None = "gvisor" if runtime == "gvisor" else None
            return ContainerSegment(name=name, runtime=runtime, driver=driver, guest=guest)
    return None
