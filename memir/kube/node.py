"""The whole of a node: from its kernel to tables of processes, containers, pods and namespaces."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from memir.kernel import nsproxy, sched
from memir.kernel.engine import Kernel
from memir.kernel.mount import Mounts
from memir.kube.containers import Container, Pod, RootFilesystem, build_containers, build_pods
from memir.kube.identity import Identity, Membership, identify, memberships
from memir.kube.mountpoints import MountSources, mount_sources
from memir.kube.processes import ProcessList, processes
from memir.kube.runtime import runtime_files
from memir.kube.snapshot import ClusterSnapshot

Rows = list[dict[str, Any]]
_NS_COLUMNS = {kind: f"{kind}_ns" for kind in nsproxy.KINDS}


@dataclass(frozen=True)
class Node:
    """What memory says of a node. identities are in the order of processes.rows."""

    kernel: Kernel
    processes: ProcessList
    identities: list[Identity]
    membership: Membership
    containers: dict[str, Container]
    pods: dict[str, Pod]
    mounts: Mounts
    sources: MountSources
    name: str | None

    def tables(self) -> dict[str, Rows]:
        """Rows of the tables processes, containers, pods and namespaces; keys are the columns of memir.model."""
        return {
            "processes": self._process_rows(),
            "containers": [self._container_row(one) for one in self.containers.values()],
            "pods": [{**_plain(one), "source": "; ".join(one.sources)} for one in self.pods.values()],
            "namespaces": self._namespace_rows(),
        }

    def _process_rows(self) -> Rows:
        rows = []
        for one, identity in zip(self.processes.rows, self.identities, strict=True):
            container = self.containers.get(identity.container_id or "")
            pod = self.pods.get(identity.pod_uid or "")
            rows.append({
                "pid": one.pid, "ppid": one.ppid, "tgid": one.tgid, "comm": one.comm, "args": one.args, "exe": one.exe,
                "exe_deleted": one.exe_deleted, "start_time": one.start, "uid": one.uid,
                "cap_effective": one.cap_effective, "seccomp": one.seccomp,
                "pid_in_container": one.pids[-1] if one.pids else None, "pids": one.pids or None,
                "threads": one.threads, "kernel_thread": one.kernel_thread, "state": one.state,
                "in_container": identity.in_container, "container_id": identity.container_id,
                "pod_uid": identity.pod_uid,
                "pod_name": (container.pod_name if container else None) or (pod.pod_name if pod else None),
                "namespace": (container.namespace if container else None) or (pod.namespace if pod else None),
                "container_name": container.container_name if container else None,
                "cgroup_path": one.cgroup_path, "cgroups": one.cgroups.lines() if one.cgroups else None,
                **{column: one.namespaces[kind] or None for kind, column in _NS_COLUMNS.items()},
                "environ": one.environ, "seen_by": one.seen_by, "witnesses": identity.witnesses,
                "disagreements": identity.disagreements, "task": one.task, "source": one.source,
            })  # fmt: skip
        return rows

    @staticmethod
    def _container_row(one: Container) -> dict[str, Any]:
        source = "; ".join([*one.sources, *(f"doubt: {doubt}" for doubt in one.doubts)])
        return {**_plain(one), "source": source}

    def _namespace_rows(self) -> Rows:
        pids: dict[tuple[str, int], list[int]] = defaultdict(list)
        pods: dict[tuple[str, int], set[str]] = defaultdict(set)
        for one, identity in zip(self.processes.rows, self.identities, strict=True):
            for kind, inum in one.namespaces.items():
                if inum:
                    pids[kind, inum].append(one.pid)
                    if identity.pod_uid:
                        pods[kind, inum].add(identity.pod_uid)
        return [
            {
                "kind": kind, "inum": inum, "initial": self.membership.host.get(kind) == inum,
                "pids": members, "pods": sorted(pods[kind, inum]), "source": "nsproxy",
            }
            for (kind, inum), members in sorted(pids.items())
        ]  # fmt: skip


def _plain(one: Container | Pod) -> dict[str, Any]:
    row = asdict(one)
    row.pop("sources")
    row.pop("doubts", None)
    return row


def read_node(kernel: Kernel, cluster: ClusterSnapshot | None = None) -> Node:
    """Walk a kernel from its tasks to its pods. What could not be read is in kernel.gaps."""
    mounts = Mounts(kernel)
    found = processes(kernel, mounts)
    host = next((int(ns) for ns, one in zip(found.mnt_ns, found.rows, strict=True) if one.pid == 1), 0)
    spaces = np.unique(found.mnt_ns[found.mnt_ns != 0])
    sources = mount_sources(kernel, mounts, spaces, host)
    files = runtime_files(kernel, mounts, sources.host, found.living)
    known = memberships(found.rows, files, cluster)
    identities = identify(found.rows, known)
    inums = {int(ns): one.namespaces["mnt"] for ns, one in zip(found.mnt_ns, found.rows, strict=True)}
    roots = {
        inums[ns]: RootFilesystem(layers, sources.rootfs.get(ns)) for ns, layers in sources.root.items() if ns in inums
    }
    name = _node_name(found, known, cluster)
    torn = sched.incomplete(kernel.gaps) or _unplaced(found, identities)
    containers = build_containers(found.rows, identities, known, files, roots, cluster, name, torn=torn)
    pods = build_pods(containers, identities, known, files, cluster, name)
    return Node(kernel, found, identities, known, containers, pods, mounts, sources, name)


def _unplaced(found: ProcessList, identities: list[Identity]) -> bool:
    """Whether a process may be in a container that nobody could say."""
    return any(
        one.cgroup_path is None and identity.container_id is None and not one.kernel_thread
        for one, identity in zip(found.rows, identities, strict=True)
    )


def _node_name(found: ProcessList, known: Membership, cluster: ClusterSnapshot | None) -> str | None:
    """The node's name: as the API's pods that memory also holds have it, else its host name."""
    if cluster is not None:
        uids = set(known.pod_of.values())
        names = Counter(pod.node for pod in cluster.pods.values() if pod.node and {pod.uid, pod.config_hash} & uids)
        if names:
            return names.most_common(1)[0][0]
    return next((one.hostname for one in found.rows if one.pid == 1), None)
