"""Every container and pod that memory or the API knows of, each fact with who said it."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from memir.kernel.overlayfs import Layers
from memir.kube.identity import Identity, Membership
from memir.kube.oci import OciSpec, with_sandbox
from memir.kube.processes import Process
from memir.kube.runtime import RuntimeFiles
from memir.kube.snapshot import ApiPod, ClusterSnapshot


@dataclass(slots=True)
class Container:
    """One row of the table `containers`; None is not known."""

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
    rootfs: str | None = None
    overlay_upper: str | None = None
    overlay_lower: list[str] | None = None
    args: list[str] | None = None
    env: list[str] | None = None
    sandbox_id: str | None = None
    processes: int = 0
    seen_in: str = "ram"
    sources: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Pod:
    """One row of the table `pods`; None is not known."""

    pod_uid: str
    pod_name: str | None = None
    namespace: str | None = None
    qos: str | None = None
    service_account: str | None = None
    host_network: bool | None = None
    node: str | None = None
    containers: int | None = 0
    processes: int = 0
    labels: list[str] | None = None
    owner: str | None = None
    phase: str | None = None
    seen_in: str = "ram"
    sources: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RootFilesystem:
    """The overlay a container has as its root, and where the node mounted it."""

    layers: Layers
    path: str | None


def build_containers(
    processes: list[Process],
    identities: list[Identity],
    known: Membership,
    files: RuntimeFiles,
    roots: dict[int, RootFilesystem],
    cluster: ClusterSnapshot | None,
    node: str | None,
    *,
    torn: bool = False,
) -> dict[str, Container]:
    """Containers by id. roots: by mount namespace number. node: API pods of other nodes are left out.

    torn: processes may be missing, or may lack their container: then none that is not seen can be said to have ended.
    """
    found: dict[str, Container] = {}
    alive: Counter[str] = Counter()
    for container in {
        *files.specs,
        *files.states,
        *known.init,
        *(one.container_id for one in identities if one.container_id),
    }:
        found[container] = _from_memory(container, known, files, roots)
    for process, identity in zip(processes, identities, strict=True):
        if identity.container_id is None:
            continue
        row = found[identity.container_id]
        row.processes += 1
        alive[identity.container_id] += process.state not in "ZX"
        if row.cgroup_path is None and f"cgroup=container:{row.container_id}" in identity.witnesses:
            row.cgroup_path = process.cgroup_path
    for row in found.values():
        row.pod_uid = row.pod_uid or known.pod_of.get(row.container_id)
        row.state = _state(row, alive[row.container_id], files, torn)
        if row.kind is None and row.container_id in known.sandbox_pod:
            row.kind = "sandbox"
    _share_sandbox(found)
    if cluster is not None:
        _from_api(found, cluster, node)
    return dict(
        sorted(
            found.items(),
            key=lambda pair: (
                pair[1].namespace or "~",
                pair[1].pod_name or "~",
                pair[1].kind != "sandbox",
                pair[0],
            ),
        )
    )


def _from_memory(container: str, known: Membership, files: RuntimeFiles, roots: dict[int, RootFilesystem]) -> Container:
    row = Container(container)
    spec, state, init = files.specs.get(container), files.states.get(container), known.init.get(container)
    if spec is not None:
        if spec.sandbox_id and spec.sandbox_id in files.specs and spec.sandbox_id != container:
            spec = with_sandbox(spec, files.specs[spec.sandbox_id])
        _from_spec(row, spec)
    if state is not None:
        row.sources.append(f"runtime state {state.where}")
        names = state.names
        row.kind, row.container_name = row.kind or names.kind, row.container_name or names.container_name
        row.pod_uid, row.pod_name = row.pod_uid or names.pod_uid, row.pod_name or names.pod_name
        row.namespace, row.image = row.namespace or names.namespace, row.image or names.image
        row.runtime = row.runtime or names.engine
        row.sandbox_id = row.sandbox_id or names.sandbox_id
    if init is not None:
        row.init_pid = None if container in known.stand_in else init.pid
        row.cgroup_path = init.cgroup_path
        row.sources.append("cgroup")
        parsed = known.ids.get(init.cgroup_path or "")
        if parsed is not None:
            row.runtime = row.runtime or parsed.runtime
            row.container_name = row.container_name or parsed.name
        for kind, member in (("pid", "host_pid"), ("net", "host_network")):
            if init.namespaces[kind] and known.host.get(kind):
                setattr(row, member, init.namespaces[kind] == known.host[kind])
        root = roots.get(init.namespaces["mnt"])
        if root is not None:
            row.overlay_upper, row.overlay_lower = root.layers.upper, root.layers.lower
            row.rootfs = root.path or row.rootfs
    return row


def _from_spec(row: Container, spec: OciSpec) -> None:
    row.sources.append(f"OCI spec {spec.where}")
    row.kind, row.container_name, row.image = spec.kind, spec.container_name, spec.image
    row.pod_uid, row.pod_name, row.namespace = spec.pod_uid, spec.pod_name, spec.namespace
    row.runtime, row.sandbox_id = spec.engine, spec.sandbox_id
    row.privileged, row.host_pid, row.host_network = spec.privileged, spec.host_pid, spec.host_network
    row.rootfs = spec.rootfs
    row.args = None if spec.args is None else list(spec.args)
    row.env = None if spec.env is None else list(spec.env)
    row.doubts.extend(spec.doubts)
    if not spec.complete:
        row.doubts.append("the spec in memory is torn")


def _state(row: Container, alive: int, files: RuntimeFiles, torn: bool) -> str:
    """Running needs a living process; one known by its spec, its state or only its dead has ended (or never began).

    In torn memory that is not known of one whose state or bundle, which go when it is deleted, is still there.
    """
    if alive:
        return "running"
    spec = files.specs.get(row.container_id)
    if torn and (row.container_id in files.states or (spec is not None and not spec.where.startswith("meta.db:"))):
        return "unknown"
    known = row.processes or row.container_id in files.specs or row.container_id in files.states
    return "exited" if known else "unknown"


def _share_sandbox(found: dict[str, Container]) -> None:
    """A pod's name is told once for all its containers; a container of a pod is one that has a sandbox beside it."""
    of_pod: dict[str, list[Container]] = defaultdict(list)
    for row in found.values():
        if row.pod_uid:
            of_pod[row.pod_uid].append(row)
    for rows in of_pod.values():
        name = next((row.pod_name for row in rows if row.pod_name), None)
        namespace = next((row.namespace for row in rows if row.namespace), None)
        for row in rows:
            row.pod_name, row.namespace = row.pod_name or name, row.namespace or namespace


def _from_api(found: dict[str, Container], cluster: ClusterSnapshot, node: str | None) -> None:
    for pod in cluster.pods.values():
        for one in pod.containers:
            for container in one.ids:
                row = found.get(container)
                if row is None:
                    if node is not None and pod.node not in (None, node):
                        continue
                    row = found[container] = Container(container, kind="container", seen_in="api")
                else:
                    row.seen_in = "both"
                row.kind = row.kind or "container"
                row.container_name = row.container_name or one.name
                row.pod_uid = row.pod_uid or pod.config_hash or pod.uid
                row.pod_name, row.namespace = row.pod_name or pod.name, row.namespace or pod.namespace
                row.image, row.runtime = row.image or one.image, row.runtime or one.runtime
                if row.seen_in == "api" and (one.state == "terminated" or container != one.container_id):
                    row.state = "exited"
                row.sources.append("API")


def build_pods(
    containers: dict[str, Container],
    identities: list[Identity],
    known: Membership,
    files: RuntimeFiles,
    cluster: ClusterSnapshot | None,
    node: str | None,
) -> dict[str, Pod]:
    """Pods by UID: those memory knows by a container or a cgroup, and the API's pods of this node."""
    found: dict[str, Pod] = {}
    for row in containers.values():
        if row.pod_uid is None:
            continue
        pod = found.setdefault(row.pod_uid, Pod(row.pod_uid))
        pod.pod_name, pod.namespace = pod.pod_name or row.pod_name, pod.namespace or row.namespace
        if row.host_network is not None:
            pod.host_network = (
                row.host_network if pod.host_network is None or row.kind == "sandbox" else pod.host_network
            )
        if row.kind is None:
            pod.containers = None  # it may be the sandbox
        elif pod.containers is not None:
            pod.containers += row.kind != "sandbox"
        spec = files.specs.get(row.container_id)
        pod.qos = pod.qos or (spec.cgroup.qos if spec is not None and spec.cgroup is not None else None)
        if row.seen_in != "api":
            kinds = (source.partition(" /")[0].partition(" meta.db")[0] for source in row.sources)
            pod.sources.extend(kind for kind in dict.fromkeys(kinds) if kind not in (*pod.sources, "API"))
    for parsed in known.ids.values():
        if parsed is not None and parsed.pod_uid:
            pod = found.setdefault(parsed.pod_uid, Pod(parsed.pod_uid))
            pod.qos = pod.qos or parsed.qos
            if "cgroup" not in pod.sources:
                pod.sources.append("cgroup")
    for identity in identities:
        if identity.pod_uid:
            found.setdefault(identity.pod_uid, Pod(identity.pod_uid)).processes += 1
    for pod in found.values():
        pod.node = node
    if cluster is not None:
        for api in cluster.pods.values():
            uid = api.config_hash if api.config_hash in found else api.uid
            if uid in found:
                found[uid].seen_in = "both" if any(source != "API" for source in found[uid].sources) else "api"
            elif node is not None and api.node not in (None, node):
                continue
            else:
                found[uid] = Pod(uid, seen_in="api")
            _api_facts(found[uid], api)
    return dict(sorted(found.items(), key=lambda pair: (pair[1].namespace or "~", pair[1].pod_name or "~", pair[0])))


def _api_facts(pod: Pod, api: ApiPod) -> None:
    pod.pod_name, pod.namespace = pod.pod_name or api.name, pod.namespace or api.namespace
    pod.qos, pod.service_account = pod.qos or api.qos, api.service_account
    pod.host_network = api.host_network if pod.host_network is None else pod.host_network
    pod.node, pod.owner, pod.phase = api.node or pod.node, api.owner, api.phase
    pod.labels = [f"{key}={value}" for key, value in sorted(api.labels.items())]
    pod.sources.append("API")
