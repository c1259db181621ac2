# SPDX-License-Identifier: Apache-2.0
"""OCI runtime specs (`config.json`) as they lie in a node's memory.

The runtime writes one for each container into its bundle on tmpfs, so it stays in page cache as long as the
container's task lives, and often longer:

- containerd's CRI: `/run/containerd/io.containerd.runtime.v2.task/k8s.io/<id>/config.json`, annotations
  `io.kubernetes.cri.*` (internal/cri/annotations of containerd/containerd)
- CRI-O: `/run/containers/storage/overlay-containers/<id>/userdata/config.json`, annotations
  `io.kubernetes.cri-o.*` and the kubelet's labels (pkg/annotations of cri-o/cri-o)
- Docker: `/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/<id>/config.json`, none

The format is opencontainers/runtime-spec config.md and config-linux.md. Nothing in it is trusted: what has
the wrong type is left None and said in `doubts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from memir.gaps import Gaps
from memir.kube.annotations import Kind, contradictions, names_of
from memir.kube.cgroups import CgroupIds, parse_cgroup
from memir.kube.fields import Fields
from memir.kube.tornjson import Document, find_members, read_object

# Capabilities that every kernel since 3.16 has (include/uapi/linux/capability.h), by bit.
# fmt: off
CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK",
    "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN",
    "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE",
    "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND",
    "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
)
# fmt: on
_ALL_CAPABILITIES = (1 << 38) - 1
_CAPABILITY_BITS = {"CAP_" + name: 1 << bit for bit, name in enumerate(CAPABILITIES)}


@dataclass(frozen=True, slots=True)
class OciMount:
    """One entry of the spec's mounts; source is a path on the node for a bind."""

    destination: str
    source: str | None
    type: str | None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OciSpec:
    """What one config.json says; None is what it does not say (or says in a wrong type).

    complete: read to its closing brace. If not, what is here was read whole, but more may be missing: env
        and mounts may be shorter than they were, and nothing was concluded from a member's absence.
    doubts: contradictions and oddities, as text for people.
    engine: containerd, cri-o or docker, by the annotations, the path or the cgroup.
    capabilities: bounding set, bit n is capability n.
    privileged: as `privileged: true` gives: every capability, no seccomp, nothing masked or read-only.
    namespaces: type to path; "" for a new one of its own. None if the spec lists none: no CRI writes that.
    host_*: shares the node's namespace. None where a container joins its sandbox's, which the sandbox's
        own spec tells: see `with_sandbox`.
    rootfs: absolute path on the node; None for a relative one in a bundle of unknown path.
    """

    where: str
    complete: bool
    doubts: tuple[str, ...] = ()
    container_id: str | None = None
    kind: Kind | None = None
    engine: str | None = None
    container_name: str | None = None
    image: str | None = None
    sandbox_id: str | None = None
    pod_name: str | None = None
    namespace: str | None = None
    pod_uid: str | None = None
    args: tuple[str, ...] | None = None
    env: tuple[str, ...] | None = None
    cwd: str | None = None
    user: int | None = None
    capabilities: int | None = None
    seccomp: bool | None = None
    privileged: bool | None = None
    no_new_privileges: bool | None = None
    namespaces: dict[str, str] | None = None
    host_pid: bool | None = None
    host_network: bool | None = None
    host_ipc: bool | None = None
    host_users: bool | None = None
    hostname: str | None = None
    rootfs: str | None = None
    readonly_root: bool | None = None
    cgroups_path: str | None = None
    cgroup: CgroupIds | None = None
    mounts: tuple[OciMount, ...] | None = None
    annotations: dict[str, str] = field(default_factory=dict)


def parse_spec(data: bytes | memoryview, where: str, gaps: Gaps | None = None) -> OciSpec | None:
    """Read the config.json at the start of `data`: the file's bytes in order, whatever follows them.

    where: the file's path if known (the bundle's directory gives the container id), else any text. Returns
    None, with a gap that says why, when nothing of an OCI spec can be read.
    """
    return spec_of(read_object(data, part_lists=("env", "mounts")), where, gaps)


def parse_pages(pages: Sequence[bytes | None], where: str, gaps: Gaps | None = None) -> OciSpec | None:
    """Read a config.json of which some pages are missing (None), given in the file's order.

    Pages after a hole still give the members that the format holds once: annotations, mounts, namespaces
    and the cgroup path, if they lie whole between two holes.
    """
    runs: list[bytes] = []
    whole = True
    for page in pages:
        if page is None:
            runs.append(b"")
            whole = False
        elif runs:
            runs[-1] += page
        else:
            runs.append(page)
    first = read_object(runs[0], part_lists=("env", "mounts")) if runs and pages[0] is not None else None
    if whole or (first is not None and first.complete):
        return spec_of(first, where, gaps)
    value: dict[str, Any] = dict(first.value) if first else {"ociVersion": "unknown"}
    members: dict[str, Any] = {}
    for run in runs if first is None else runs[1:]:
        members |= find_members(run, ("annotations", "mounts", "namespaces", "cgroupsPath", "hostname"))
    linux = {key: members.pop(key) for key in ("namespaces", "cgroupsPath") if key in members}
    if first is None and not members and not linux:
        _gap(gaps, where, "pages missing")
        return None
    value |= members
    if linux:
        before: Any = value.get("linux")
        value["linux"] = {**(before if isinstance(before, dict) else {}), **linux}
    length = sum(len(run) for run in runs)
    doubts = (*(first.doubts if first else ()), "pages missing")
    return spec_of(Document(value, length, False, doubts), where, gaps)


def with_sandbox(spec: OciSpec, sandbox: OciSpec) -> OciSpec:
    """Fill in what a container's spec leaves to its sandbox: whose namespaces it joined, pod names."""
    return replace(
        spec,
        host_pid=sandbox.host_pid if spec.host_pid is None else spec.host_pid,
        host_network=sandbox.host_network if spec.host_network is None else spec.host_network,
        host_ipc=sandbox.host_ipc if spec.host_ipc is None else spec.host_ipc,
        host_users=sandbox.host_users if spec.host_users is None else spec.host_users,
        pod_uid=spec.pod_uid or sandbox.pod_uid,
        pod_name=spec.pod_name or sandbox.pod_name,
        namespace=spec.namespace or sandbox.namespace,
    )


def spec_of(document: Document | None, where: str, gaps: Gaps | None = None) -> OciSpec | None:
    """The spec in a JSON object; None, with a gap, if it is not one, or none was read."""
    if document is None:
        _gap(gaps, where, "not JSON")
        return None
    root = document.value
    if not isinstance(root.get("ociVersion"), str):
        _gap(gaps, where, "not an OCI spec")
        return None
    read = Fields(list(document.doubts))
    process, linux = read.object(root, "process"), read.object(root, "linux")
    annotations = read.strings_by_key(root, "annotations")
    cgroups_path = read.string(linux, "cgroupsPath")
    cgroup = parse_cgroup(cgroups_path) if cgroups_path else None
    names = names_of(annotations, cgroup, where, read.doubts)
    namespaces = _namespaces(read, linux)
    mounts = _mounts(read, root)
    # Absence concludes only where the whole document was read.
    whole = document.complete and bool(linux)
    seccomp = True if read.object(linux, "seccomp") else False if whole else None
    capabilities = _capabilities(read, process, whole)
    sources = [mount.source for mount in mounts or () if mount.source]
    read.doubts += contradictions(names, cgroup, where, sources, annotations)
    return OciSpec(
        where=where,
        complete=document.complete,
        doubts=tuple(dict.fromkeys(read.doubts)),
        container_id=names.container_id,
        kind=names.kind,
        engine=names.engine,
        container_name=names.container_name,
        image=names.image,
        sandbox_id=names.sandbox_id,
        pod_name=names.pod_name,
        namespace=names.namespace,
        pod_uid=names.pod_uid,
        args=read.strings(process, "args"),
        env=read.strings(process, "env"),
        cwd=read.string(process, "cwd"),
        user=read.number(read.object(process, "user"), "uid", 1 << 32),
        capabilities=capabilities,
        seccomp=seccomp,
        privileged=_privileged(capabilities, seccomp, linux) if whole else None,
        no_new_privileges=read.boolean(process, "noNewPrivileges"),
        namespaces=namespaces,
        host_pid=_host(namespaces, "pid"),
        host_network=_host(namespaces, "network"),
        host_ipc=_host(namespaces, "ipc"),
        host_users=_host(namespaces, "user"),
        hostname=read.string(root, "hostname"),
        rootfs=_rootfs(read.string(read.object(root, "root"), "path"), where),
        readonly_root=read.boolean(read.object(root, "root"), "readonly"),
        cgroups_path=cgroups_path,
        cgroup=cgroup,
        mounts=mounts,
        annotations=annotations,
    )


def _namespaces(read: Fields, linux: dict[str, Any]) -> dict[str, str] | None:
    entries = read.list(linux, "namespaces")
    if entries is None:
        return None
    out: dict[str, str] = {}
    for entry in entries:
        kind = read.string(entry, "type") if isinstance(entry, dict) else None
        if kind is None:
            read.doubts.append("a namespace has no type")
        else:
            out[kind] = read.string(entry, "path") or ""
    return out


def _mounts(read: Fields, root: dict[str, Any]) -> tuple[OciMount, ...] | None:
    entries = read.list(root, "mounts")
    if entries is None:
        return None
    out: list[OciMount] = []
    for entry in entries:
        destination = read.string(entry, "destination") if isinstance(entry, dict) else None
        if destination is None:
            read.doubts.append("a mount has no destination")
            continue
        options = read.strings(entry, "options") or ()
        out.append(OciMount(destination, read.string(entry, "source"), read.string(entry, "type"), options))
    return tuple(out)


def _capabilities(read: Fields, process: dict[str, Any], whole: bool) -> int | None:
    """The bounding set. `"capabilities": {}` of a whole document is how encoders write that all were dropped."""
    sets = read.object(process, "capabilities")
    names = read.strings(sets, "bounding")
    if names is None:
        return 0 if whole and isinstance(process.get("capabilities"), dict) and sets.get("bounding") is None else None
    mask = 0
    for name in names:
        mask |= _CAPABILITY_BITS.get(name, 0)
    return mask


def _privileged(capabilities: int | None, seccomp: bool | None, linux: dict[str, Any]) -> bool | None:
    """As containerd's, CRI-O's and Docker's `privileged` leaves a spec.

    Adding every capability by itself keeps the masked paths, so it is told from `privileged: true`.
    """
    if capabilities is None:
        return None
    guarded = seccomp or linux.get("maskedPaths") or linux.get("readonlyPaths")
    return capabilities & _ALL_CAPABILITIES == _ALL_CAPABILITIES and not guarded


def _host(namespaces: dict[str, str] | None, kind: str) -> bool | None:
    """Whether the container is in the node's namespace of this kind (config-linux.md, Namespaces)."""
    # Every runtime gives a container a mount namespace: a list without one is not a runtime's.
    if namespaces is None or "mount" not in namespaces:
        return None
    path = namespaces.get(kind)
    if path is None:
        return True
    # Docker joins the node's network by path: /proc/1/ns/net or /var/run/docker/netns/default.
    if path.startswith("/proc/1/ns/") or path.endswith("/docker/netns/default"):
        return True
    # /proc/<pid>/ns/<kind> is the sandbox's, whatever that is.
    return None if path.startswith("/proc/") else False


def _rootfs(path: str | None, where: str) -> str | None:
    if path is None or path.startswith("/"):
        return path
    bundle = where.removesuffix("/config.json")
    return f"{bundle}/{path}" if bundle != where and bundle.startswith("/") else None


def _gap(gaps: Gaps | None, where: str, why: str) -> None:
    if gaps is not None:
        gaps.add("OCI spec", where, why)
