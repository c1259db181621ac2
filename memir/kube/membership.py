# SPDX-License-Identifier: Apache-2.0
"""What the witnesses share: containers by cgroup, each container's first process, and whose namespaces are whose."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from memir.kernel.nsproxy import KINDS
from memir.kube.cgroups import CgroupIds, parse_cgroup, systemd_path
from memir.kube.claims import Claims, of_container
from memir.kube.processes import Process
from memir.kube.runc import RuntimeState
from memir.kube.runtime import RuntimeFiles
from memir.kube.snapshot import ClusterSnapshot

# PROC_*_INIT_INO in include/linux/proc_ns.h
_INITIAL = {
    "ipc": 0xEFFFFFFF,
    "uts": 0xEFFFFFFE,
    "user": 0xEFFFFFFD,
    "pid": 0xEFFFFFFC,
    "cgroup": 0xEFFFFFFB,
    "time": 0xEFFFFFFA,
}


@dataclass(slots=True)
class Membership:
    """What the witnesses share: ids by cgroup path, each container's init, and whose namespaces are whose.

    init: a process that stands for each container, its first one unless in stand_in. pod_of: pod UID by container id,
    as claims have it. mnt_of: container by mount namespace; net_of: pod by network namespace.
    host: the node's own namespaces by kind, 0 where not known. claims: what every witness says, of all subjects.
    """

    ids: dict[str, CgroupIds | None]
    by_cgroup: dict[str, str]
    pod_of: dict[str, str]
    sandbox_pod: dict[str, str]
    init: dict[str, Process]
    mnt_of: dict[int, str]
    net_of: dict[int, str]
    host: dict[str, int]
    pod_by_name: dict[str, str]
    stand_in: set[str] = field(default_factory=set)
    claims: Claims = field(default_factory=Claims)


def memberships(
    processes: list[Process],
    files: RuntimeFiles,
    cluster: ClusterSnapshot | None,
    claims: Claims | None = None,
    own_net: Callable[[], int] = lambda: 0,
) -> Membership:
    """Put together what the cgroups, runtime files and API say of containers. claims: where what is said is kept.

    own_net: number of the node's own network namespace, asked for where no process tells it; 0: not known.
    """
    paths = dict.fromkeys(path for process in processes if (path := process.cgroup_path))
    ids = {path: parse_cgroup(path) for path in paths}
    known = Membership(
        ids,
        _by_cgroup(files),
        {},
        {},
        {},
        {},
        {},
        _host(processes, own_net),
        {},
        claims=claims if claims is not None else Claims(),
    )
    for path, parsed in ids.items():
        if parsed and parsed.container_id:
            known.by_cgroup.setdefault(path, parsed.container_id)
            known.claims.add(of_container(parsed.container_id), "pod_uid", parsed.pod_uid, "cgroup", path)
    _pods(known, files, cluster)
    members: dict[str, list[Process]] = defaultdict(list)
    for process in processes:
        container = container_of_cgroup(known, process.cgroup_path)
        if container and not process.kernel_thread:
            members[container].append(process)
    shared = _shared_pids(members, known.host)
    for container, rows in members.items():
        init, certain = _init(rows, files.states.get(container), known.host, shared)
        if init is not None:
            known.init[container] = init
            if not certain:
                known.stand_in.add(container)
    _namespace_owners(known)
    return known


def _by_cgroup(files: RuntimeFiles) -> dict[str, str]:
    """Containers by cgroup path, as runtime states and specs name it: also for names that carry no id."""
    containers: dict[str, str] = {}
    for container, spec in files.specs.items():
        if spec.cgroups_path:
            containers.setdefault(systemd_path(spec.cgroups_path) or spec.cgroups_path, container)
    for container, state in files.states.items():
        for path in state.cgroup_paths.values():
            containers.setdefault(path, container)
    return containers


def _pods(known: Membership, files: RuntimeFiles, cluster: ClusterSnapshot | None) -> None:
    """Pod of each container, by specs, runtime states and the API."""
    claims = known.claims
    for container, spec in files.specs.items():
        claims.add(of_container(container), "pod_uid", spec.pod_uid, "spec", spec.where)
        if spec.pod_uid and spec.kind == "sandbox":
            known.sandbox_pod[container] = spec.pod_uid
        if spec.pod_uid and spec.pod_name:
            known.pod_by_name.setdefault(spec.pod_name, spec.pod_uid)
    for container, state in files.states.items():
        claims.add(of_container(container), "pod_uid", state.names.pod_uid, "state", state.where)
    for container, row in files.registry.containers.items() if files.registry is not None else ():
        claims.add(of_container(container), "pod_uid", row.pod_uid, "metadata")
    for pod in cluster.pods.values() if cluster is not None else ():
        for described in pod.containers:
            for container in described.ids:
                claims.add(of_container(container), "pod_uid", pod.config_hash or pod.uid, "API")
    for claim in claims:
        if claim.field == "pod_uid" and (uid := claims.text(claim.subject, "pod_uid")):
            known.pod_of[claim.subject.id] = uid


def container_of_cgroup(known: Membership, path: str | None) -> str | None:
    """The container whose cgroup this is, or lies in."""
    while path and path != "/":
        if path in known.by_cgroup:
            return known.by_cgroup[path]
        path = path.rpartition("/")[0]
    return None


def _host(processes: list[Process], own_net: Callable[[], int]) -> dict[str, int]:
    """The node's own namespaces: those of process 1; what it lacks from the kernel's threads, then by their numbers,
    and the network's by where it lies."""
    first = next((process.namespaces for process in processes if process.pid == 1), {})
    threads = [process.namespaces for process in processes if process.kernel_thread]
    host = {kind: first.get(kind) or _shared(kind, threads) or _INITIAL.get(kind, 0) for kind in KINDS}
    return host | {"net": host["net"] or own_net()}


def _shared(kind: str, namespaces: list[dict[str, int]]) -> int:
    """The namespace that most of these have; one alone does not count (kdevtmpfs has mounts of its own)."""
    known = Counter(inum for inums in namespaces if (inum := inums[kind])).most_common(1)
    return known[0][0] if known and known[0][1] > 1 else 0


def _shared_pids(members: Mapping[str, list[Process]], host: dict[str, int]) -> set[int]:
    """Pid namespaces in which a container's first process is not pid 1: the node's, and those of several containers."""
    users: dict[int, set[str]] = defaultdict(set)
    for container, rows in members.items():
        for process in rows:
            users[process.namespaces["pid"]].add(container)
    return {inum for inum, who in users.items() if inum and (len(who) > 1 or inum == host.get("pid"))}


def _init(
    rows: list[Process], state: RuntimeState | None, host: dict[str, int], shared: set[int]
) -> tuple[Process | None, bool]:
    """(a process that stands for the container, whether it is surely its first one).

    The one that its runtime names, else pid 1 of its own pid namespace, else the oldest that does not have the node's
    mounts: surely first only if its parent is known and outside, and no pid 1 is missing.
    """
    named = [process for process in rows if state is not None and process.pid == state.init_pid]
    inside = [process for process in rows if process.namespaces["mnt"] not in (0, host.get("mnt"))]
    first = [process for process in inside if process.pids and process.pids[-1] == 1]
    if named or first:
        return (named or first)[0], True
    if not inside:
        return None, False
    oldest = min(inside, key=lambda process: (process.start or 0, process.pid))
    outside = oldest.ppid is not None and oldest.ppid not in {process.pid for process in rows}
    timed = all(process.start is not None for process in inside)
    return oldest, state is None and outside and timed and oldest.namespaces["pid"] in shared


def _namespace_owners(known: Membership) -> None:
    mnt: dict[int, set[str]] = defaultdict(set)
    net: dict[int, set[str]] = defaultdict(set)
    for container, init in known.init.items():
        if known.host.get("mnt") and init.namespaces["mnt"] not in (0, known.host["mnt"]):
            mnt[init.namespaces["mnt"]].add(container)
        pod = known.pod_of.get(container)
        if pod and known.host.get("net") and init.namespaces["net"] not in (0, known.host["net"]):
            net[init.namespaces["net"]].add(pod)
    # a namespace that two containers or pods claim is nobody's witness
    known.mnt_of = {inum: next(iter(who)) for inum, who in mnt.items() if len(who) == 1}
    known.net_of = {inum: next(iter(who)) for inum, who in net.items() if len(who) == 1}
