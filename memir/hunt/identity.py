"""Containers and pods by process, container id, pod UID and mount namespace."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from memir.kube.node import Node


@dataclass(frozen=True, slots=True)
class Owner:
    """A container or pod; all None is the node itself, or nobody known."""

    container_id: str | None = None
    container_name: str | None = None
    pod_uid: str | None = None
    pod_name: str | None = None
    namespace: str | None = None

    def parts(self) -> tuple[str | None, ...]:
        """Its fields, as they are columns of the table `hits`."""
        return self.container_id, self.container_name, self.pod_uid, self.pod_name, self.namespace


@dataclass(frozen=True)
class Wanted:
    """What --pod, --namespace, --container and --pid ask for; empty asks for everything."""

    pods: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    containers: frozenset[str] = frozenset()
    pids: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.pods or self.namespaces or self.containers or self.pids)

    def words(self) -> str:
        """As the command line has it."""
        asked = {"pod": self.pods, "namespace": self.namespaces, "container": self.containers, "pid": self.pids}
        return " ".join(f"--{name} {one}" for name, chosen in asked.items() for one in sorted(map(str, chosen)))

    def has(self, owner: Owner, pid: int | None) -> bool:
        """Whether an owner is asked for: pods by name or UID, containers by name or the beginning of their
        id."""
        if self.pids and pid not in self.pids:
            return False
        if self.pods and not self.pods & {owner.pod_name, owner.pod_uid}:
            return False
        if self.namespaces and owner.namespace not in self.namespaces:
            return False
        if not self.containers or owner.container_name in self.containers:
            return True
        return any(owner.container_id is not None and owner.container_id.startswith(one) for one in self.containers)


class Identities:
    """Owners as the node's walk knows them."""

    def __init__(self, node: Node) -> None:
        self._containers = node.containers
        self._pods = node.pods
        self._process: dict[int, Owner] = {}
        for one, who in zip(node.processes.rows, node.identities, strict=True):
            if who.container_id:
                owner = self.container(who.container_id)
            else:
                owner = self.pod(who.pod_uid) if who.pod_uid else Owner()
            self._process.setdefault(one.tgid, owner)

    def process(self, pid: int) -> Owner:
        """The container of a process."""
        return self._process.get(pid, Owner())

    def container(self, container_id: str) -> Owner:
        """A container by its id."""
        row = self._containers.get(container_id)
        if row is None:
            return Owner(container_id)
        pod = self._pods.get(row.pod_uid or "")
        name = row.pod_name or (pod.pod_name if pod else None)
        return Owner(
            container_id,
            row.container_name,
            row.pod_uid,
            name,
            row.namespace or (pod.namespace if pod else None),
        )

    def pod(self, uid: str) -> Owner:
        """A pod by its UID, no container of it in particular."""
        row = self._pods.get(uid)
        return Owner(pod_uid=uid, pod_name=row.pod_name if row else None, namespace=row.namespace if row else None)

    def container_named(self, uid: str, name: str) -> Owner | None:
        """The container of this name in a pod, if there is one only."""
        found = [
            one.container_id for one in self._containers.values() if one.pod_uid == uid and one.container_name == name
        ]
        return self.container(found[0]) if len(found) == 1 else None

    def by_space(self, node: Node) -> dict[int, tuple[Owner, ...]]:
        """Containers by mount namespace address; the node's own, and strangers in it, left out."""
        host = next(
            (int(ns) for ns, one in zip(node.processes.mnt_ns, node.processes.rows, strict=True) if one.pid == 1),
            0,
        )
        found: dict[int, set[Owner]] = defaultdict(set)
        for ns, one in zip(node.processes.mnt_ns.tolist(), node.processes.rows, strict=True):
            owner = self.process(one.tgid)
            if ns not in (0, host) and owner.container_id:
                found[ns].add(owner)
        return {ns: tuple(owners) for ns, owners in found.items()}
