"""What a cgroup path says: runtime, container, pod, QoS class.

A path is read segment by segment, outermost first; each container or pod that a segment names encloses
those further down, so the innermost wins and the ones around it are kept (`CgroupIds.outer`). A segment
is told by its shape alone, with no search over the whole string: time is linear in its length.

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
from dataclasses import dataclass, replace
from typing import Literal

Driver = Literal["systemd", "cgroupfs", "mismatch"]
Qos = Literal["Guaranteed", "Burstable", "BestEffort"]
Guest = Literal["kata", "gvisor"]


@dataclass(frozen=True, slots=True)
class CgroupIds:
    """What one cgroup path says of a process in it; None is what it does not say.

    runtime: containerd, cri-o, docker, podman, runc, crun, gvisor or kata. A bare id (cgroupfs) tells none.
    container_id: 64 lower-case hex digits (ECS Fargate from 1.4: `<32 hex>-<digits>`), of the innermost
        container. A sandbox's id where `sandbox` is true.
    name: container name in a scope that is not 64 hex digits (`system.slice:runc:helper` gives helper).
    pod_uid: of the innermost enclosing pod, lower case, with dashes; 32 hex digits for a static pod.
    driver: who named the cgroup; "mismatch" is a systemd name that a cgroupfs driver took literally.
    sandbox: the path names the pod's sandbox itself (Kata).
    guest: the workload runs inside a guest kernel, which this memory shows from outside only.
    monitor_of: the process is conmon, which watches that container from outside; container_id is None then.
    task: ECS task id.
    child: what lies below the container's own cgroup (`container`, `init.scope`, `kube-proxy`).
    outer: the container or pod that encloses this one (docker in docker, a kind node seen from its host).
        Whoever may write a container's own cgroup can make names below it: trust the inner ids only if
        another witness knows them.
    """

    runtime: str | None = None
    container_id: str | None = None
    name: str | None = None
    pod_uid: str | None = None
    qos: Qos | None = None
    driver: Driver | None = None
    sandbox: bool = False
    guest: Guest | None = None
    monitor_of: str | None = None
    task: str | None = None
    child: str | None = None
    outer: CgroupIds | None = None


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
_HEX32 = re.compile(r"[0-9a-fA-F]{32}")
_UUID = re.compile(r"[0-9a-fA-F]{8}([-_])[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}")
_FARGATE = re.compile(r"[0-9a-fA-F]{32}-[0-9]{1,10}")
_UID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,251}")
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.+-]{0,127}")
_PROC_LINE = re.compile(r"[0-9]{1,10}:[^:/]{0,256}:(?=/)")

MAX_SEGMENT = 255  # NAME_MAX: no directory name of the kernel's is longer
MAX_NESTED = 16
MAX_PATH = 1 << 16


def parse_cgroup(path: str) -> CgroupIds | None:
    """Read a cgroup path; None if it names no container, pod or runtime monitor.

    Takes a kernfs path (`/kubepods.slice/...`), a line of /proc/PID/cgroup, or an OCI spec's cgroupsPath
    (`slice:prefix:name`). Any text is safe to give. Memoise outside: a node has few distinct paths.
    """
    if len(path) > MAX_PATH:
        return None
    line = _PROC_LINE.match(path)
    text = path[line.end() :] if line else path
    state = _Walk()
    for segment in text.removesuffix(" (deleted)").split("/"):
        if segment and segment not in (".", "..") and len(segment) <= MAX_SEGMENT:
            state.step(segment)
    ids = state.result()
    # Without a directory it is an OCI cgroupsPath, whose colons are the systemd driver's own form.
    return replace(ids, driver="systemd") if ids and "/" not in text and ids.driver == "mismatch" else ids


def systemd_path(cgroups_path: str) -> str | None:
    """The kernel's path of an OCI cgroupsPath under the systemd driver; None if it is not of that form.

    `a-b.slice:prefix:name` becomes `/a.slice/a-b.slice/prefix-name.scope` (runc's docs/systemd.md); a
    plain path is the kernel's path already.
    """
    parts = cgroups_path.split(":")
    if len(parts) != 3 or "/" in cgroups_path or len(cgroups_path) > MAX_SEGMENT * 3:
        return None
    parent, prefix, name = parts
    if not name:
        return None
    unit = name if name.endswith(".slice") else f"{prefix}-{name}.scope" if prefix else f"{name}.scope"
    stem = (parent or "system.slice").removesuffix(".slice")
    if stem == "-":
        return f"/{unit}"
    pieces = stem.split("-")
    slices = ["-".join(pieces[: n + 1]) + ".slice" for n in range(len(pieces))]
    return "/" + "/".join([*slices, unit])


@dataclass(slots=True)
class _Found:
    """A container segment as read by itself."""

    container_id: str | None = None
    name: str | None = None
    runtime: str | None = None
    driver: Driver | None = None
    monitor_of: str | None = None
    sandbox: bool = False
    guest: Guest | None = None


class _Walk:
    """The state while the segments of one path go by."""

    def __init__(self) -> None:
        self.ids: CgroupIds | None = None
        self.child: list[str] = []
        self.nested = 0
        self.before = ""  # the segment before this one, lower case
        self.parent: str | None = None  # runtime told by a directory above
        self.task: str | None = None
        self.guest: Guest | None = None

    def step(self, segment: str) -> None:
        plain = segment
        if segment.startswith(("kata_", "kata-")):
            self.guest = "kata"
            plain = segment[5:]
        slice_, colon, rest = plain.partition(":")
        uid, qos = _pod(slice_, self.before)
        if uid:
            named: Driver = "systemd" if slice_.endswith(".slice") else "cgroupfs"
            self._enter_pod(uid, qos, "mismatch" if colon else named)
        found = _from_colons(rest) if colon else _container(segment, self.before, self.parent)
        if found is None and plain is not segment:
            found = _container(plain, self.before, self.parent)
        if found:
            found.sandbox |= plain is not segment or self.parent == "kata"
            self._enter_container(found)
        elif uid is None:
            self._pass(segment)
        self.before = segment.lower()

    def result(self) -> CgroupIds | None:
        if self.ids is None:
            return None
        ids = self.ids
        guest = ids.guest or self.guest
        child = "/".join(self.child) or None
        return replace(ids, child=child, guest=guest) if child or guest else ids

    def _pass(self, segment: str) -> None:
        """A segment that names nothing: a directory above, or one below, a container."""
        if self.ids is not None:
            self.child.append(segment)
        self.parent = PARENTS.get(segment, self.parent)
        if segment.startswith(("kata_overhead", "kata-overhead")):
            self.parent = "kata"
        if self.parent == "ecs" and (_UUID.fullmatch(segment) or _HEX32.fullmatch(segment)):
            self.task = segment.lower()

    def _enter_pod(self, uid: str, qos: Qos | None, driver: Driver) -> None:
        outer = self._close()
        self.ids = CgroupIds(pod_uid=uid, qos=qos, driver=driver, outer=outer)
        self.child, self.parent = [], None

    def _enter_container(self, found: _Found) -> None:
        pod, outer = self.ids, self.ids.outer if self.ids else None
        if pod is not None and (pod.container_id or pod.name or pod.monitor_of):
            outer = self._close()
        driver = found.driver or "cgroupfs"
        if pod is not None and pod.driver == "mismatch":
            driver = "mismatch"
        self.ids = CgroupIds(
            runtime=found.runtime,
            container_id=found.container_id,
            name=found.name,
            # A container inside a pod's container is still that pod's.
            pod_uid=pod.pod_uid if pod else None,
            qos=pod.qos if pod else None,
            driver=driver,
            sandbox=found.sandbox,
            guest=found.guest,
            monitor_of=found.monitor_of,
            task=self.task,
            outer=outer,
        )
        self.child, self.parent = [], None

    def _close(self) -> CgroupIds | None:
        """The ids so far, to become the outer ones; the deepest levels are kept when there are too many."""
        self.child = []
        outer = self.result()
        self.nested += 1
        if self.nested > MAX_NESTED:
            outer = replace(outer, outer=None) if outer else None
            self.nested = 0
        return outer


def _pod(segment: str, before: str) -> tuple[str | None, Qos | None]:
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
    return bool(_UUID.fullmatch(uid) or _HEX32.fullmatch(uid))


def _uid(raw: str, escaped: bool) -> str | None:
    """A UID as the API writes it. The kubelet turns `-` into `_` in a systemd name."""
    if _UUID.fullmatch(raw):
        return raw.replace("_", "-").lower()
    if _HEX32.fullmatch(raw):
        return raw.lower()
    # A static pod's manifest may carry any text for a UID; its case is its own.
    if not _UID.fullmatch(raw):
        return None
    return raw.replace("_", "-") if escaped else raw


def _from_colons(rest: str) -> _Found | None:
    """`prefix:name` after a slice: a systemd cgroupsPath that became a directory name."""
    prefix, colon, name = rest.partition(":")
    if not colon or ":" in name:
        return None
    runtime = RUNTIMES.get(prefix)
    if _HEX64.fullmatch(name):
        return _Found(container_id=name.lower(), runtime=runtime, driver="mismatch")
    if runtime and _NAME.fullmatch(name):
        return _Found(name=name, runtime=runtime, driver="mismatch")
    return None


def _container(segment: str, before: str, parent: str | None) -> _Found | None:
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
        return _Found(ident, driver=driver, runtime=runtime)
    prefix, dash = stem[:-65], stem[-65]
    if prefix == "kata" and dash in "_-":
        return _Found(ident, driver=driver, runtime="kata", sandbox=True, guest="kata")
    if dash != "-" or prefix.endswith("_pod"):
        return None
    if prefix in _MONITORS:
        return _Found(monitor_of=ident, runtime=_MONITORS[prefix], driver=driver)
    runtime = RUNTIMES.get(prefix)
    # An unknown prefix counts in a scope only: runc takes any, and units such as mounts end otherwise.
    if runtime is None and driver != "systemd":
        return None
    return _Found(ident, runtime=runtime, driver=driver, guest="gvisor" if runtime == "gvisor" else None)


def _odd(stem: str, driver: Driver, parent: str | None) -> _Found | None:
    """Container names that are not 64 hex digits."""
    if parent == "ecs" and _FARGATE.fullmatch(stem):
        return _Found(stem.lower(), runtime="containerd", driver=driver)
    if driver != "systemd":
        return None
    for prefix in _NAMED:
        name = stem[len(prefix) + 1 :]
        if stem.startswith(prefix + "-") and _NAME.fullmatch(name):
            runtime = RUNTIMES[prefix]
            guest: Guest | None = "gvisor" if runtime == "gvisor" else None
            return _Found(name=name, runtime=runtime, driver=driver, guest=guest)
    return None
