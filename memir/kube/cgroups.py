# SPDX-License-Identifier: Apache-2.0
"""What a cgroup path says: runtime, container, pod, QoS class.

A path is read segment by segment, outermost first; each container or pod that a segment names encloses
those further down, so the innermost wins and the ones around it are kept (`CgroupIds.outer`). A segment
is told by its shape alone, with no search over the whole string: time is linear in its length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from memir.kube.cgroup_segments import (
    HEX32,
    PARENTS,
    UUID,
    ContainerSegment,
    Driver,
    Guest,
    Qos,
    container_segment,
    from_colons,
    pod_segment,
)


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


_PROC_LINE = re.compile(r"[0-9]{1,10}:[^:/]{0,256}:(?=/)")

MAX_SEGMENT = 255  # NAME_MAX: no directory name of the kernel's is longer
MAX_NESTED = 16  # kind in kind in docker is 3
MAX_PATH = 1 << 16  # a path of a hostile log or API; the kernel's own end at 4,096


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
        plain, overhead = segment, self.parent == "kata"
        # Below a container's own cgroup the names are its own, and claim nothing about its kernel.
        inside = self.ids is not None and self.ids.container_id is not None
        if segment.startswith(("kata_", "kata-")) and not inside:
            self.guest = "kata"
            plain = segment[5:]
        slice_, colon, rest = plain.partition(":")
        uid, qos = pod_segment(slice_, self.before)
        if uid:
            named: Driver = "systemd" if slice_.endswith(".slice") else "cgroupfs"
            self._enter_pod(uid, qos, "mismatch" if colon else named)
        container = from_colons(rest) if colon else container_segment(segment, self.before, self.parent)
        if container is None and plain is not segment:
            container = container_segment(plain, self.before, self.parent)
        if container:
            if overhead or plain is not segment:
                container.sandbox, container.runtime = True, container.runtime or "kata"
            self._enter_container(container)
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
        if self.parent == "ecs" and (UUID.fullmatch(segment) or HEX32.fullmatch(segment)):
            self.task = segment.lower()

    def _enter_pod(self, uid: str, qos: Qos | None, driver: Driver) -> None:
        outer = self._close()
        self.ids = CgroupIds(pod_uid=uid, qos=qos, driver=driver, outer=outer)
        self.child, self.parent = [], None

    def _enter_container(self, container: ContainerSegment) -> None:
        pod, outer = self.ids, self.ids.outer if self.ids else None
        if pod is not None and (pod.container_id or pod.name or pod.monitor_of):
            outer = self._close()
        driver = container.driver or "cgroupfs"
        if pod is not None and pod.driver == "mismatch":
            driver = "mismatch"
        self.ids = CgroupIds(
            runtime=container.runtime,
            container_id=container.container_id,
            name=container.name,
            # A container inside a pod's container is still that pod's.
            pod_uid=pod.pod_uid if pod else None,
            qos=pod.qos if pod else None,
            driver=driver,
            sandbox=container.sandbox,
            guest=container.guest,
            monitor_of=container.monitor_of,
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
