# SPDX-License-Identifier: Apache-2.0
"""What the OCI runtimes keep of a running container: runc's `state.json`, crun's `status`.

- runc: `/run/containerd/runc/k8s.io/<id>/state.json` (containerd), `/run/docker/runtime-runc/moby/<id>/...`,
  `/run/runc/<id>/...` (CRI-O): libcontainer.State and configs.Config of opencontainers/runc
- crun: `/run/crun/<id>/status`: src/libcrun/status.c of containers/crun

They tie a container id to the pid of its first process and its start time, so that a pid used again is
seen, and outlive the process until the runtime is told to delete the container.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from memir.gaps import Gaps
from memir.kube.annotations import Names, names_of
from memir.kube.cgroups import CgroupIds, parse_cgroup
from memir.kube.fields import Fields
from memir.kube.tornjson import Document, read_object

PID_LIMIT = 1 << 22
_STATUS_PATH = re.compile(r"/([0-9A-Za-z][0-9A-Za-z_.+-]{0,127})/status")


@dataclass(frozen=True, slots=True)
class RuntimeState:
    """One container as its runtime knows it; None is what the file does not say.

    init_pid: of the container's first process, in the runtime's pid namespace (the node's).
    init_start: its start in clock ticks since boot, as field 22 of /proc/PID/stat.
    created: UTC.
    cgroup_paths: controller to path without the mount point; key "" on cgroup v2.
    namespace_paths: NEWPID, NEWNET, ... to `/proc/<pid>/ns/<kind>`.
    names: what the annotations, which runc keeps as labels, say of pod and container.
    """

    where: str
    complete: bool
    runtime: str
    doubts: tuple[str, ...] = ()
    container_id: str | None = None
    init_pid: int | None = None
    init_start: int | None = None
    created: datetime | None = None
    cgroup_paths: dict[str, str] = field(default_factory=dict)
    cgroup: CgroupIds | None = None
    namespace_paths: dict[str, str] = field(default_factory=dict)
    rootfs: str | None = None
    bundle: str | None = None
    names: Names = Names()  # noqa: RUF009  (frozen, so one default serves all)


def parse_state(data: bytes | memoryview, where: str, gaps: Gaps | None = None) -> RuntimeState | None:
    """Read the state.json or crun status at the start of `data`; None, with a gap, if it is neither.

    where: the file's path if known (crun's container id is in it only), else any text.
    """
    document = read_object(data, part_lists=("labels",))
    if document is None:
        _gap(gaps, where, "not JSON")
        return None
    return state_of(document, where, gaps)


def state_of(document: Document, where: str, gaps: Gaps | None = None) -> RuntimeState | None:
    """The state in a JSON object; None, with a gap, if it is not one."""
    if "init_process_pid" in document.value:
        return _runc(document, where)
    if "process-start-time" in document.value or "cgroup-path" in document.value:
        return _crun(document, where)
    _gap(gaps, where, "not a runtime's state")
    return None


def _runc(document: Document, where: str) -> RuntimeState:
    root, read = document.value, Fields(list(document.doubts))
    config = read.object(root, "config")
    lines = [line for line in read.list(config, "labels") or () if isinstance(line, str)]
    labels = dict(line.split("=", 1) for line in lines if "=" in line)
    paths = {key: _below_mount(path, key) for key, path in read.strings_by_key(root, "cgroup_paths").items()}
    cgroup = _first_cgroup(paths)
    container_id = read.string(root, "id")
    names = names_of(labels, cgroup, where, read.doubts)
    if names.container_id and container_id and names.container_id != container_id:
        read.doubts.append(f"container ids differ: {container_id} {names.container_id}")
    return RuntimeState(
        where=where,
        complete=document.complete,
        runtime="runc",
        doubts=tuple(dict.fromkeys(read.doubts)),
        container_id=container_id or names.container_id,
        init_pid=_pid(read, root, "init_process_pid"),
        init_start=read.number(root, "init_process_start", 1 << 64),
        created=_time(read, root, "created"),
        cgroup_paths=paths,
        cgroup=cgroup,
        namespace_paths=read.strings_by_key(root, "namespace_paths"),
        rootfs=read.string(config, "rootfs"),
        bundle=labels.get("bundle"),
        names=names,
    )


def _crun(document: Document, where: str) -> RuntimeState:
    root, read = document.value, Fields(list(document.doubts))
    path = read.string(root, "cgroup-path")
    cgroup = parse_cgroup(path) if path else None
    bundle = read.string(root, "bundle")
    names = names_of({}, cgroup, f"{bundle}/config.json" if bundle else where, read.doubts)
    match = _STATUS_PATH.search(where[-200:])
    from_path = match.group(1) if match and match.end() == len(where[-200:]) else None
    if from_path and names.container_id and from_path != names.container_id:
        read.doubts.append(f"container ids differ: {from_path} {names.container_id}")
    return RuntimeState(
        where=where,
        complete=document.complete,
        runtime="crun",
        doubts=tuple(dict.fromkeys(read.doubts)),
        container_id=from_path or names.container_id,
        init_pid=_pid(read, root, "pid"),
        init_start=read.number(root, "process-start-time", 1 << 64),
        created=_time(read, root, "created"),
        cgroup_paths={"": path} if path else {},
        cgroup=cgroup,
        rootfs=read.string(root, "rootfs"),
        bundle=bundle,
        names=names,
    )


def _pid(read: Fields, root: dict[str, Any], key: str) -> int | None:
    # 0 is written when the process had gone already; a pid above PID_MAX_LIMIT cannot be.
    return read.number(root, key, PID_LIMIT + 1) or None


def _time(read: Fields, root: dict[str, Any], key: str) -> datetime | None:
    text = read.string(root, key)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text[:64])
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        read.doubts.append(f"{key} is not a time")
        return None


def _below_mount(path: str, controller: str) -> str:
    """A cgroup's path without /sys/fs/cgroup and, on cgroup v1, the controller's directory."""
    rest = path.removeprefix("/sys/fs/cgroup")
    if rest == path:
        return path
    first, _, inner = rest.lstrip("/").partition("/")
    return f"/{inner}" if controller or first == "unified" else rest or "/"


def _first_cgroup(paths: dict[str, str]) -> CgroupIds | None:
    for path in paths.values():
        ids = parse_cgroup(path)
        if ids:
            return ids
    return None


def _gap(gaps: Gaps | None, where: str, why: str) -> None:
    if gaps is not None:
        gaps.add("runtime state", where, why)
