"""Which container and pod each process belongs to, by several witnesses.

In order of weight: its cgroup, its mount and network namespaces, the shim above it. Environment and host name only
confirm or contradict: a process writes them itself. Who spoke is kept with every process, and so is who disagreed:
a process in a pod's cgroup with the node's namespaces has stepped onto the host, one with a pod's namespaces in a
cgroup of the node's is hiding.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from memir.kernel.nsproxy import KINDS
from memir.kube.cgroups import CgroupIds, parse_cgroup, systemd_path
from memir.kube.processes import Process
from memir.kube.runc import RuntimeState
from memir.kube.runtime import RuntimeFiles
from memir.kube.snapshot import ClusterSnapshot
from memir.kube.witness import env_witness, shim_witness

_OWN = ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup")
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
class Identity:
    """Where a process belongs. witnesses and disagreements are `witness=claim` texts, claims being `container:ID`,
    `pod:UID` or `host`."""

    container_id: str | None = None
    pod_uid: str | None = None
    in_container: bool | None = False
    witnesses: list[str] = field(default_factory=list)
    disagreements: list[str] = field(default_factory=list)
    guest: str | None = None


@dataclass(slots=True)
class Membership:
    """What the witnesses share: ids by cgroup path, each container's init, and whose namespaces are whose.

    init: a process that stands for each container, its first one unless in stand_in. pod_of: pod UID by container id.
    mnt_of: container by mount namespace; net_of: pod by network namespace.
    host: the node's own namespaces by kind, 0 where not known.
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


def memberships(processes: list[Process], files: RuntimeFiles, cluster: ClusterSnapshot | None) -> Membership:
    """Put together what the cgroups, runtime files and API say of containers."""
    paths = {path for one in processes if (path := one.cgroup_path)}
    ids = {path: parse_cgroup(path) for path in paths}
    known = Membership(ids, _by_cgroup(files), {}, {}, {}, {}, {}, _host(processes), {})
    for path, parsed in ids.items():
        if parsed and parsed.container_id:
            known.by_cgroup.setdefault(path, parsed.container_id)
            if parsed.pod_uid:
                known.pod_of.setdefault(parsed.container_id, parsed.pod_uid)
    _pods(known, files, cluster)
    members: dict[str, list[Process]] = defaultdict(list)
    for one in processes:
        container = container_of_cgroup(known, one.cgroup_path)
        if container and not one.kernel_thread:
            members[container].append(one)
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
    found: dict[str, str] = {}
    for container, spec in files.specs.items():
        if spec.cgroups_path:
            found.setdefault(systemd_path(spec.cgroups_path) or spec.cgroups_path, container)
    for container, state in files.states.items():
        for path in state.cgroup_paths.values():
            found.setdefault(path, container)
    return found


def _pods(known: Membership, files: RuntimeFiles, cluster: ClusterSnapshot | None) -> None:
    for container, spec in files.specs.items():
        if spec.pod_uid:
            known.pod_of.setdefault(container, spec.pod_uid)
            if spec.kind == "sandbox":
                known.sandbox_pod[container] = spec.pod_uid
            if spec.pod_name:
                known.pod_by_name.setdefault(spec.pod_name, spec.pod_uid)
    if cluster is not None:
        for pod in cluster.pods.values():
            uid = pod.config_hash or pod.uid
            for one in pod.containers:
                for container in one.ids:
                    known.pod_of.setdefault(container, uid)


def container_of_cgroup(known: Membership, path: str | None) -> str | None:
    """The container whose cgroup this is, or lies in."""
    while path and path != "/":
        if path in known.by_cgroup:
            return known.by_cgroup[path]
        path = path.rpartition("/")[0]
    return None


def _host(processes: list[Process]) -> dict[str, int]:
    """The node's own namespaces: those of process 1; what it lacks from the kernel's threads, then by their numbers."""
    first = next((one.namespaces for one in processes if one.pid == 1), {})
    threads = [one.namespaces for one in processes if one.kernel_thread]
    return {kind: first.get(kind) or _shared(kind, threads) or _INITIAL.get(kind, 0) for kind in KINDS}


def _shared(kind: str, namespaces: list[dict[str, int]]) -> int:
    """The namespace that most of these have; one alone does not count (kdevtmpfs has mounts of its own)."""
    known = Counter(inum for one in namespaces if (inum := one[kind])).most_common(1)
    return known[0][0] if known and known[0][1] > 1 else 0


def _shared_pids(members: Mapping[str, list[Process]], host: dict[str, int]) -> set[int]:
    """Pid namespaces in which a container's first process is not pid 1: the node's, and those of several containers."""
    users: dict[int, set[str]] = defaultdict(set)
    for container, rows in members.items():
        for one in rows:
            users[one.namespaces["pid"]].add(container)
    return {inum for inum, who in users.items() if inum and (len(who) > 1 or inum == host.get("pid"))}


def _init(
    rows: list[Process], state: RuntimeState | None, host: dict[str, int], shared: set[int]
) -> tuple[Process | None, bool]:
    """(a process that stands for the container, whether it is surely its first one).

    The one that its runtime names, else pid 1 of its own pid namespace, else the oldest that does not have the node's
    mounts: surely first only if its parent is known and outside, and no pid 1 is missing.
    """
    named = [one for one in rows if state is not None and one.pid == state.init_pid]
    inside = [one for one in rows if one.namespaces["mnt"] not in (0, host.get("mnt"))]
    first = [one for one in inside if one.pids and one.pids[-1] == 1]
    if named or first:
        return (named or first)[0], True
    if not inside:
        return None, False
    oldest = min(inside, key=lambda one: (one.start or 0, one.pid))
    outside = oldest.ppid is not None and oldest.ppid not in {one.pid for one in rows}
    timed = all(one.start is not None for one in inside)
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


def identify(processes: list[Process], known: Membership) -> list[Identity]:
    """Container and pod of every process, in the same order."""
    shims = {one.pid: found for one in processes if one.args and (found := shim_witness(one.args))}
    parents = {one.pid: one.ppid or 0 for one in processes}
    return [_identify(one, known, _shim_above(one, parents, shims.keys()), shims) for one in processes]


def _shim_above(process: Process, parents: dict[int, int], shims: Iterable[int]) -> int | None:
    """Pid of the nearest container monitor among the ancestors."""
    seen: set[int] = set()
    at = process.ppid
    while at and at not in seen:
        if at in shims:
            return at
        seen.add(at)
        at = parents.get(at, 0)
    return None


def _identify(process: Process, known: Membership, shim: int | None, shims: Mapping[int, object]) -> Identity:
    found = Identity()
    if process.kernel_thread:
        return found
    claims = _claims(process, known, shims.get(shim) if shim is not None else None)
    strong = [(witness, claim) for witness, claim in claims if witness in ("cgroup", "mnt_ns", "net_ns", "shim")]
    found.container_id = next((claim[10:] for _, claim in strong if claim.startswith("container:")), None)
    found.pod_uid = known.pod_of.get(found.container_id or "") or next(
        (claim[4:] for _, claim in strong if claim.startswith("pod:")), None
    )
    if found.container_id is not None or found.pod_uid is not None:
        found.in_container = True
    elif process.cgroup_path is None:
        found.in_container = None
    parsed = known.ids.get(process.cgroup_path or "")
    found.guest = parsed.guest if parsed else None
    for witness, claim in claims:
        agrees = claim in (f"container:{found.container_id}", f"pod:{found.pod_uid}")
        if claim == "host":
            if found.in_container and _unlike_init(process, known, found, witness):
                found.disagreements.append(f"{witness}=host")
        elif agrees:
            found.witnesses.append(f"{witness}={claim}")
        elif (
            claim.startswith("container:")
            and known.pod_of.get(claim[10:]) == found.pod_uid is not None
            and witness == "shim"
        ):
            continue
        elif found.in_container is None:
            found.witnesses.append(f"{witness}={claim}")  # a weak one, which nothing contradicts
        else:
            found.disagreements.append(f"{witness}={claim}")
    return found


def _unlike_init(process: Process, known: Membership, found: Identity, witness: str) -> bool:
    """A namespace of the node's counts against a process only if its container was not given it.

    Where no process of the container is there to tell, those of the pod's other containers do, and no container is
    given the node's mounts.
    """
    if not witness.endswith("_ns") or witness == "mnt_ns":
        return True
    kind = witness[:-3]
    init = known.init.get(found.container_id or "")
    inits = [init] if init else [one for at, one in known.init.items() if known.pod_of.get(at) == found.pod_uid]
    given = {inum for one in inits if (inum := one.namespaces[kind])}
    return bool(given) and process.namespaces[kind] not in given


def _claims(process: Process, known: Membership, shim: object) -> list[tuple[str, str]]:
    """What each witness says of a process, heaviest first."""
    claims: list[tuple[str, str]] = []
    path = process.cgroup_path
    container = container_of_cgroup(known, path)
    parsed = known.ids.get(path or "")
    if container:
        claims.append(("cgroup", f"container:{container}"))
    elif parsed and parsed.pod_uid and not parsed.monitor_of:
        claims.append(("cgroup", f"pod:{parsed.pod_uid}"))
    elif path is not None:
        claims.append(("cgroup", "host"))
    for kind in _OWN:
        inum = process.namespaces.get(kind, 0)
        if not inum:
            continue
        if kind == "mnt" and inum in known.mnt_of:
            claims.append(("mnt_ns", f"container:{known.mnt_of[inum]}"))
        elif kind == "net" and inum in known.net_of:
            claims.append(("net_ns", f"pod:{known.net_of[inum]}"))
        elif inum == known.host.get(kind):
            claims.append((f"{kind}_ns", "host"))
    monitor = getattr(shim, "id", None)
    if monitor:
        pod = known.sandbox_pod.get(monitor) or known.pod_of.get(monitor)
        if pod:
            claims.append(("shim", f"pod:{pod}"))
        elif monitor in known.init:
            claims.append(("shim", f"container:{monitor}"))
    claims.extend(_weak(process, known))
    return claims


def _weak(process: Process, known: Membership) -> list[tuple[str, str]]:
    """Environment and host name: they name a pod, and are written by whoever wants to."""
    claims = []
    said = env_witness(process.environ or [])
    pod = known.pod_by_name.get(said.get("HOSTNAME", "")) if "KUBERNETES_SERVICE_HOST" in said else None
    if pod:
        claims.append(("env", f"pod:{pod}"))
    pod = known.pod_by_name.get(process.hostname or "")
    if pod and process.namespaces.get("uts") != known.host.get("uts"):
        claims.append(("uts", f"pod:{pod}"))
    return claims
