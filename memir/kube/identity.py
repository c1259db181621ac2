# SPDX-License-Identifier: Apache-2.0
"""Which container and pod each process belongs to, by several witnesses.

In order of weight (memir.kube.claims.PRECEDENCE): its cgroup, its mount and network namespaces, the shim above it.
Environment and host name only confirm or contradict: a process writes them itself. Who spoke is kept with every
process, and so is who disagreed: a process in a pod's cgroup with the node's namespaces has stepped onto the host, one
with a pod's namespaces in a cgroup of the node's is hiding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from memir.kube.claims import PRECEDENCE, Claim, Claims, of_process
from memir.kube.membership import Membership, container_of_cgroup, memberships
from memir.kube.processes import Process
from memir.kube.witness import ShimWitness, env_witness, shim_witness

__all__ = ["Identity", "Membership", "container_of_cgroup", "identify", "memberships", "place"]

_OWN = ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup")
_DECIDING = frozenset(PRECEDENCE["process", "container_id"] + PRECEDENCE["process", "pod_uid"])


@dataclass(slots=True)
class Identity:
    """Where a process belongs. confirming and contradicting: the claims for that place, and for another.

    in_container is None where nothing could be heard: neither a pod's nor the node's.
    """

    container_id: str | None = None
    pod_uid: str | None = None
    in_container: bool | None = False
    confirming: list[Claim] = field(default_factory=list)
    contradicting: list[Claim] = field(default_factory=list)
    guest: str | None = None

    @property
    def witnesses(self) -> list[str]:
        """`witness=container:ID`, `witness=pod:UID`: who placed the process where it is."""
        return [f"{claim.witness}={place(claim)}" for claim in self.confirming]

    @property
    def disagreements(self) -> list[str]:
        """`witness=container:ID`, `witness=pod:UID`, `witness=host`: who places it elsewhere."""
        return [f"{claim.witness}={place(claim)}" for claim in self.contradicting]


def place(claim: Claim) -> str:
    """The place that a claim of a process names, as text: `container:ID`, `pod:UID` or `host`."""
    kinds = {"container_id": "container", "pod_uid": "pod"}
    return f"{kinds[claim.field]}:{claim.value}" if claim.field in kinds else "host"


def identify(processes: list[Process], known: Membership) -> list[Identity]:
    """Container and pod of every process, in the same order. What was claimed is added to known.claims."""
    shims = {process.pid: shim for process in processes if process.args and (shim := shim_witness(process.args))}
    parents = {process.pid: process.ppid or 0 for process in processes}
    return [_identify(process, known, shims.get(_shim_above(process, parents, shims))) for process in processes]


def _shim_above(process: Process, parents: Mapping[int, int], shims: Iterable[int]) -> int:
    """Pid of the nearest container monitor among the ancestors; 0 if there is none."""
    seen: set[int] = set()
    pid = process.ppid
    while pid and pid not in seen:
        if pid in shims:
            return pid
        seen.add(pid)
        pid = parents.get(pid, 0)
    return 0


def _identify(process: Process, known: Membership, shim: ShimWitness | None) -> Identity:
    identity = Identity()
    if process.kernel_thread:
        return identity
    subject = of_process(process.pid)
    own = Claims()  # of this process alone: torn memory may show two of one pid
    claims = [Claim(subject, *what) for what in _claims(process, known, shim)]
    for claim in claims:
        own.add(subject, claim.field, claim.value, claim.witness)
    identity.container_id = own.text(subject, "container_id")
    own.add(subject, "pod_uid", known.pod_of.get(identity.container_id or ""), "container")
    identity.pod_uid = own.text(subject, "pod_uid")
    known.claims.extend(own)
    if identity.container_id is not None or identity.pod_uid is not None:
        identity.in_container = True
    elif process.cgroup_path is None:
        identity.in_container = None
    parsed = known.ids.get(process.cgroup_path or "")
    identity.guest = parsed.guest if parsed else None
    for claim in claims:
        _weigh(claim, process, known, identity)
    return identity


def _weigh(claim: Claim, process: Process, known: Membership, identity: Identity) -> None:
    """Put a claim with those that confirm the process's place, or with those that contradict it."""
    if claim.field == "in_container":
        if identity.in_container and _unlike_init(process, known, identity, claim.witness):
            identity.contradicting.append(claim)
    elif claim.value == (identity.container_id if claim.field == "container_id" else identity.pod_uid):
        identity.confirming.append(claim)
    elif claim.witness == "shim" and known.pod_of.get(str(claim.value), "") == identity.pod_uid:
        return  # one shim serves all containers of a pod
    elif identity.in_container is None and claim.witness not in _DECIDING:
        identity.confirming.append(claim)  # a weak one, which nothing contradicts
    else:
        identity.contradicting.append(claim)


def _unlike_init(process: Process, known: Membership, identity: Identity, witness: str) -> bool:
    """A namespace of the node's counts against a process only if its container was not given it.

    Where no process of the container is there to tell, those of the pod's other containers do, and no container is
    given the node's mounts.
    """
    if not witness.endswith("_ns") or witness == "mnt_ns":
        return True
    kind = witness.removesuffix("_ns")
    init = known.init.get(identity.container_id or "")
    others = [other for container, other in known.init.items() if known.pod_of.get(container) == identity.pod_uid]
    given = {inum for first in ([init] if init else others) if (inum := first.namespaces[kind])}
    return bool(given) and process.namespaces[kind] not in given


What = tuple[str, str | bool, str]
"""Field, value and witness of a claim."""
_HOST: tuple[str, bool] = ("in_container", False)


def _claims(process: Process, known: Membership, shim: ShimWitness | None) -> list[What]:
    """What each witness says of a process, heaviest first."""
    claims: list[What] = []
    path = process.cgroup_path
    container = container_of_cgroup(known, path)
    parsed = known.ids.get(path or "")
    if container:
        claims.append(("container_id", container, "cgroup"))
    elif parsed and parsed.pod_uid and not parsed.monitor_of:
        claims.append(("pod_uid", parsed.pod_uid, "cgroup"))
    elif path is not None:
        claims.append((*_HOST, "cgroup"))
    for kind in _OWN:
        inum = process.namespaces.get(kind, 0)
        if not inum:
            continue
        if kind == "mnt" and inum in known.mnt_of:
            claims.append(("container_id", known.mnt_of[inum], "mnt_ns"))
        elif kind == "net" and inum in known.net_of:
            claims.append(("pod_uid", known.net_of[inum], "net_ns"))
        elif inum == known.host.get(kind):
            claims.append((*_HOST, f"{kind}_ns"))
    if shim is not None and (pod := known.sandbox_pod.get(shim.id) or known.pod_of.get(shim.id)):
        claims.append(("pod_uid", pod, "shim"))
    elif shim is not None and shim.id in known.init:
        claims.append(("container_id", shim.id, "shim"))
    return claims + _weak(process, known)


def _weak(process: Process, known: Membership) -> list[What]:
    """Environment and host name: they name a pod, and are written by whoever wants to."""
    claims: list[What] = []
    variables = env_witness(process.environ or [])
    pod = known.pod_by_name.get(variables.get("HOSTNAME", "")) if "KUBERNETES_SERVICE_HOST" in variables else None
    if pod:
        claims.append(("pod_uid", pod, "env"))
    pod = known.pod_by_name.get(process.hostname or "")
    if pod and process.namespaces.get("uts") != known.host.get("uts"):
        claims.append(("pod_uid", pod, "uts"))
    return claims
