# SPDX-License-Identifier: Apache-2.0
"""Every container that memory or the API knows of. Facts are resolved from claims; what differs is a doubt."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from memir.kube.claims import Claims, Subject, of_container
from memir.kube.container_claims import (
    claim_api,
    claim_cri,
    claim_registered,
    claim_sandbox,
    claim_spec,
    claim_state,
    claim_status,
)
from memir.kube.containerd import namespace_of
from memir.kube.event_keys import SpecKind
from memir.kube.identity import Identity
from memir.kube.kubelet import ContainerStatus
from memir.kube.membership import Membership
from memir.kube.mountpoints import RootFilesystem
from memir.kube.processes import Process
from memir.kube.runtime import RuntimeFiles
from memir.kube.snapshot import ClusterSnapshot


@dataclass(slots=True)
class Container:
    """One row of the table `containers`; None is not known. Times are ns since 1970 UTC."""

    container_id: str
    kind: str | None = None
    container_name: str | None = None
    pod_uid: str | None = None
    pod_name: str | None = None
    namespace: str | None = None
    image: str | None = None
    runtime: str | None = None
    state: str = "unknown"
    init_pid: int | None = None
    cgroup_path: str | None = None
    privileged: bool | None = None
    host_pid: bool | None = None
    host_network: bool | None = None
    host_users: bool | None = None
    user_ns: int | None = None
    containerd_namespace: str | None = None
    rootfs: str | None = None
    overlay_upper: str | None = None
    overlay_lower: list[str] | None = None
    args: list[str] | None = None
    env: list[str] | None = None
    sandbox_id: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    restarts: int | None = None
    started_at: int | None = None
    finished_at: int | None = None
    processes: int = 0
    seen_in: str = "ram"
    sources: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


_TEXTS = (
    "kind", "container_name", "pod_uid", "pod_name", "namespace", "image", "runtime", "sandbox_id", "cgroup_path",
    "rootfs", "containerd_namespace", "reason",
)  # fmt: skip
_NUMBERS = ("exit_code", "restarts", "started_at", "finished_at")
BEFORE_BOOT = "before the kernel's boot"
"""Behind the witness of a start that cannot be: its claim decides nothing."""
_FLAGS = ("host_pid", "host_network", "host_users")


def build_containers(
    processes: list[Process],
    identities: list[Identity],
    known: Membership,
    files: RuntimeFiles,
    roots: dict[int, RootFilesystem],
    cluster: ClusterSnapshot | None,
    *,
    statuses: Mapping[str, ContainerStatus] | None = None,
    kinds: Mapping[tuple[str, str], SpecKind] | None = None,
    torn: bool = False,
    booted: int | None = None,
) -> dict[str, Container]:
    """Containers by id. roots: by mount namespace number. cluster: of this node's pods alone.
    statuses: what the kubelet last reported, by container id. kinds: by pod UID and name, by the kubelet's events.

    booted: when the kernel began, ns since 1970 UTC: no container that runs began before it, whoever says so.
    torn: processes may be missing, or may lack their container: then none that is not seen can be said to have ended.
    """
    claims = known.claims
    claims.images = files.registry.images if files.registry is not None else {}
    placed = dict.fromkeys(identity.container_id for identity in identities if identity.container_id)
    registered = files.registry.containers if files.registry is not None else {}
    every = {**files.specs, **files.states, **registered, **known.init, **placed}
    rows = {container: Container(container) for container in every}
    for row in rows.values():
        _from_files(row, files, claims)
        _from_init(row, known, roots)
    alive: Counter[str] = Counter()
    for process, identity in zip(processes, identities, strict=True):
        if identity.container_id is None:
            continue
        row = rows[identity.container_id]
        row.processes += 1
        told = [claim.witness for claim in identity.confirming if claim.field == "container_id"]
        row.sources += [witness for witness in told[:1] if not row.sources]  # no first process, no file: this one alone
        alive[identity.container_id] += process.alive
        if any(claim.witness == "cgroup" and claim.field == "container_id" for claim in identity.confirming):
            claims.add(of_container(identity.container_id), "cgroup_path", process.cgroup_path, "cgroup")
    for row in rows.values():
        row.state = _state(row, alive[row.container_id], files, torn)
        if row.container_id in known.sandbox_pod:
            claims.add(of_container(row.container_id), "kind", "sandbox", "spec")
    for container, ended in files.ended.items():
        if container in rows:
            rows[container].sources.append("containerd status")
            claim_cri(ended, claims)
    for container, status in (statuses or {}).items():
        if container in rows and is_reported(container, known, files):  # what nothing else knows may be long gone
            rows[container].sources.append("kubelet status")
            claim_status(status, claims)
    _from_events(rows, kinds or {}, claims)
    if cluster is not None:
        _from_api(rows, claims, cluster)
    _share_names(rows, claims)
    for row in rows.values():
        if booted is not None and row.state == "running":
            claims.set_aside(of_container(row.container_id), "started_at", booted, BEFORE_BOOT)
        _resolve(row, claims)
    _sidecars(rows)
    return dict(sorted(rows.items(), key=_order))


def _order(item: tuple[str, Container]) -> tuple[str, str, bool, str]:
    row = item[1]
    return row.namespace or "~", row.pod_name or "~", row.kind != "sandbox", row.container_id


def _resolve(row: Container, claims: Claims) -> None:
    """Fill in what the claims of a container come to, and the doubts they leave."""
    subject = of_container(row.container_id)
    for name in _TEXTS:
        setattr(row, name, claims.text(subject, name))
    for name in _FLAGS:
        setattr(row, name, claims.flag(subject, name))
    for name in _NUMBERS:
        setattr(row, name, claims.number(subject, name))
    if row.state == "running":  # how it ended later is what a later snapshot says
        row.exit_code = row.reason = row.finished_at = None
    row.doubts += claims.doubts(subject)


def _from_files(row: Container, files: RuntimeFiles, claims: Claims) -> None:
    """What the runtime's own files say: the spec, its sandbox's spec, the runtime's state."""
    subject = of_container(row.container_id)
    spec, state = files.specs.get(row.container_id), files.states.get(row.container_id)
    if spec is not None:
        row.sources.append(f"OCI spec {spec.where}")
        claim_spec(subject, spec, claims)
        row.privileged = spec.privileged
        row.args = None if spec.args is None else list(spec.args)
        row.env = None if spec.env is None else list(spec.env)
        row.doubts.extend(spec.doubts)
        if not spec.complete:
            row.doubts.append("the spec in memory is torn")
        sandbox = files.specs.get(spec.sandbox_id or "")
        if sandbox is not None and sandbox is not spec:
            claim_sandbox(subject, spec, sandbox, claims)
    known = files.registry.containers.get(row.container_id) if files.registry is not None else None
    if known is not None:
        row.sources.append("containerd metadata")
        claim_registered(subject, known, claims)
    for document, witness in ((spec, "spec"), (state, "state")):
        if document is not None and (namespace := namespace_of(document.where)):
            claims.add(subject, "containerd_namespace", namespace, witness, document.where)
    if state is not None:
        row.sources.append(f"runtime state {state.where}")
        claim_state(subject, state, claims)


def _from_init(row: Container, known: Membership, roots: dict[int, RootFilesystem]) -> None:
    """What the container's first process has: its cgroup, its namespaces, its root."""
    init, claims, subject = known.init.get(row.container_id), known.claims, of_container(row.container_id)
    if init is None:
        return
    row.init_pid = None if row.container_id in known.stand_in else init.pid
    row.sources.append("cgroup")
    claims.add(subject, "cgroup_path", init.cgroup_path, "cgroup")
    if row.init_pid is not None:
        claims.add(subject, "started_at", init.start, "process")
    parsed = known.ids.get(init.cgroup_path or "")
    if parsed is not None:
        claims.add(subject, "runtime", parsed.runtime, "cgroup")
        claims.add(subject, "container_name", parsed.name, "cgroup")
    for kind, name in (("pid", "host_pid"), ("net", "host_network"), ("user", "host_users")):
        if init.namespaces[kind] and known.host.get(kind):
            claims.add(subject, name, init.namespaces[kind] == known.host[kind], "namespaces")
    row.user_ns = init.namespaces["user"] or None
    root = roots.get(init.namespaces["mnt"])
    if root is not None:
        row.overlay_upper, row.overlay_lower = root.layers.upper, root.layers.lower
        claims.add(subject, "rootfs", root.path, "mounts")


def _state(row: Container, alive: int, files: RuntimeFiles, torn: bool) -> str:
    """Running needs a living process; one known by its spec, its state or only its dead has ended (or never began).

    In torn memory that is not known of one whose state or bundle, which go when it is deleted, is still there. Removed:
    containerd's database does not lead to it any more; where that has holes, it is not known.
    """
    if alive:
        return "running"
    if files.off_the_tree(row.container_id) and not row.processes:
        return "removed" if files.registry is not None and files.registry.whole else "unknown"
    spec = files.specs.get(row.container_id)
    if torn and (row.container_id in files.states or (spec is not None and not spec.where.startswith("meta.db:"))):
        return "unknown"
    registered = files.registry is not None and row.container_id in files.registry.containers
    known = row.processes or registered or row.container_id in files.specs or row.container_id in files.states
    return "exited" if known else "unknown"


def _share_names(rows: dict[str, Container], claims: Claims) -> None:
    """A pod's name is told once for all its containers: the first that one of them has is a claim for the others."""
    of_pod: dict[str, list[Subject]] = defaultdict(list)
    for row in rows.values():
        if uid := claims.text(of_container(row.container_id), "pod_uid"):
            of_pod[uid].append(of_container(row.container_id))
    for subjects in of_pod.values():
        for name in ("pod_name", "namespace"):
            value = next((text for subject in subjects if (text := claims.text(subject, name))), None)
            for subject in subjects:
                if claims.text(subject, name) is None:
                    claims.add(subject, name, value, "sibling")


def is_reported(container: str, known: Membership, files: RuntimeFiles) -> bool:
    """Whether the kubelet reports of a container: of no sandbox, and of none whose whole spec is of no pod.

    A status of one of those has been planted. known: with what the container's files claim.
    """
    subject, spec = of_container(container), files.specs.get(container)
    if known.claims.text(subject, "kind") == "sandbox":
        return False
    return spec is None or not spec.complete or known.claims.text(subject, "pod_uid") is not None


def _from_events(rows: dict[str, Container], kinds: Mapping[tuple[str, str], SpecKind], claims: Claims) -> None:
    """Which list of the spec a container stands in; its name there is the one that its own files tell."""
    for subject in map(of_container, rows):
        uid, name = claims.text(subject, "pod_uid"), claims.text(subject, "container_name")
        claims.add(subject, "kind", kinds.get((uid or "", name or "")), "event")


def _sidecars(rows: dict[str, Container]) -> None:
    """An init container that runs beside its pod's containers is a sidecar: others end before they begin (KEP-753)."""
    begun = {row.pod_uid for row in rows.values() if row.kind == "container" and row.state == "running"} - {None}
    for row in rows.values():
        if row.kind == "init" and row.state == "running" and row.pod_uid in begun:
            row.kind = "sidecar"


def _from_api(rows: dict[str, Container], claims: Claims, cluster: ClusterSnapshot) -> None:
    """What the API says of the containers of this node's pods."""
    for pod in cluster.pods.values():
        for known in pod.containers:
            for container in known.ids:
                row = rows.get(container)
                if row is None:
                    row = rows[container] = Container(container, seen_in="api")
                    ended = known.state == "terminated" or container != known.container_id
                    row.state = "exited" if ended else row.state
                else:
                    row.seen_in = "both" if row.seen_in == "ram" else row.seen_in
                claim_api(container, pod, known, claims)
                row.sources.append("API")
