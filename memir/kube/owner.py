# SPDX-License-Identifier: Apache-2.0
"""Whose is this: the container and pod of tasks, cgroups, namespaces, files, pages, asked in batches over arrays.

The one place that answers it, for every table, the hunt and the volatility3 host. Something may have several owners
(a page of a shared layer, the network namespace of a pod's containers), none that is known, or the node itself.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memir.kube.membership import container_of_cgroup

if TYPE_CHECKING:
    from memir.kube.containers import Container
    from memir.kube.identity import Identity
    from memir.kube.membership import Membership
    from memir.kube.pods import Pod
    from memir.kube.processes import ProcessList

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Owner:
    """A container or pod; all None is the node itself. container_id is None for a pod as a whole."""

    container_id: str | None = None
    container_name: str | None = None
    pod_uid: str | None = None
    pod_name: str | None = None
    namespace: str | None = None

    def parts(self) -> tuple[str | None, ...]:
        """Its fields in the order of the tables' columns."""
        return self.container_id, self.container_name, self.pod_uid, self.pod_name, self.namespace

    def columns(self) -> dict[str, str | None]:
        """Its fields by the names of the tables' columns."""
        return dict(zip(PARTS, self.parts(), strict=True))

    def whole_pod(self) -> Owner:
        """The pod, no container of it in particular."""
        return Owner(None, None, self.pod_uid, self.pod_name, self.namespace)


PARTS = ("container_id", "container_name", "pod_uid", "pod_name", "namespace")
NODE = Owner()


@dataclass(frozen=True)
class OwnerBatch:
    """Owners of n things: those of thing i are owners[j] for j in index[first[i]:first[i + 1]]; none: not known.

    first: int64[n + 1]. index: int64[m].
    """

    owners: tuple[Owner, ...]
    first: I64
    index: I64

    @classmethod
    def of_lists(cls, lists: Iterable[Iterable[Owner]]) -> OwnerBatch:
        """From the owners of each thing."""
        number: dict[Owner, int] = {}
        rows = [[number.setdefault(owner, len(number)) for owner in owners] for owners in lists]
        first = np.concatenate(([0], np.cumsum([len(row) for row in rows], dtype=np.int64)))
        return cls(tuple(number), first, np.array([at for row in rows for at in row], np.int64))

    def __len__(self) -> int:
        return len(self.first) - 1

    def __getitem__(self, row: int) -> tuple[Owner, ...]:
        return tuple(self.owners[at] for at in self.index[self.first[row] : self.first[row + 1]].tolist())

    def single(self) -> tuple[list[Owner], I64]:
        """(owners, int64[n]): the one owner of each thing, -1 where there is none or several pods share it.

        What several containers of one pod own is the pod's. The node counts as an owner: what a pod shares with it is
        not the pod's.
        """
        owners = list(self.owners)
        count = np.diff(self.first)
        alone = np.full(len(self), -1, np.int64)
        alone[count == 1] = self.index[self.first[:-1][count == 1]]
        known: dict[bytes, int] = {}
        for row in np.flatnonzero(count > 1).tolist():
            part = self.index[self.first[row] : self.first[row + 1]]
            key = part.tobytes()
            if key not in known:
                several = {self.owners[at] for at in part.tolist()}
                whole = {owner.whole_pod() for owner in several}
                known[key] = -1
                if len(several) == 1:
                    known[key] = int(part[0])
                elif len(whole) == 1 and next(iter(whole)).pod_uid is not None:
                    known[key] = len(owners)
                    owners.append(next(iter(whole)))
            alone[row] = known[key]
        return owners, alone

    def shared_by(self) -> list[list[str] | None]:
        """For each thing that has no single owner: UIDs of the pods that own it, sorted; None where no pod does."""
        _, alone = self.single()
        found: list[list[str] | None] = [None] * len(self)
        known: dict[bytes, list[str] | None] = {}
        for row in np.flatnonzero((alone < 0) & (np.diff(self.first) > 0)).tolist():
            part = self.index[self.first[row] : self.first[row + 1]]
            key = part.tobytes()
            if key not in known:
                known[key] = sorted({uid for at in part.tolist() if (uid := self.owners[at].pod_uid)}) or None
            found[row] = known[key]
        return found

    def columns(self) -> dict[str, Any]:
        """The tables' owner columns: filled where there is one owner, else null and the pods are in shared_by."""
        import pyarrow as pa

        owners, alone = self.single()
        index = pa.array(alone, pa.int64(), mask=alone < 0)
        parts = zip(*(owner.parts() for owner in owners), strict=True) if owners else [()] * len(PARTS)
        found: dict[str, Any] = {
            name: pa.array(list(part), pa.string()).take(index) for name, part in zip(PARTS, parts, strict=True)
        }
        return found | {"shared_by": pa.array(self.shared_by(), pa.list_(pa.string()))}


class Placed(Protocol):
    """What owners are told by: memir.kube.ram.RamSource is one."""

    @property
    def processes(self) -> ProcessList: ...  # noqa: D102
    @property
    def identities(self) -> list[Identity]: ...  # noqa: D102
    @property
    def membership(self) -> Membership: ...  # noqa: D102
    @property
    def containers(self) -> dict[str, Container]: ...  # noqa: D102
    @property
    def pods(self) -> dict[str, Pod]: ...  # noqa: D102
    @property
    def host_mnt_ns(self) -> int: ...  # noqa: D102


class Owners:
    """Whose things of a node are. Every `by_...` takes an array or list and gives one answer for each of its items."""

    def __init__(self, source: Placed) -> None:
        self._source = source

    def by(self, what: str, keys: Any) -> OwnerBatch:
        """The answer by a name of memir.tables.table.OwnerKey (`task`, `pid`, ...)."""
        batch: OwnerBatch = getattr(self, f"by_{what}")(keys)
        return batch

    def by_task(self, task: Any) -> OwnerBatch:
        """By addresses of task_struct, of threads too; KeyError never: a task that is not known has no owner."""
        return _batch(self._tasks, task)

    def by_pid(self, pid: Any) -> OwnerBatch:
        """By process ids, or ids of threads, in the node's own pid namespace."""
        return _batch(self._pids, pid)

    def by_cgroup(self, path: Sequence[str | None]) -> OwnerBatch:
        """By paths of cgroups as the table `processes` has them; a path inside a container's cgroup is its."""
        return OwnerBatch.of_lists(() if one is None else (self.cgroup(one),) for one in path)

    def by_namespace(self, inum: Any) -> OwnerBatch:
        """By numbers of namespaces of any kind (the kernel numbers all kinds together)."""
        return _batch(self._namespaces, inum)

    def by_container_id(self, container_id: Sequence[str | None]) -> OwnerBatch:
        """By container ids."""
        return OwnerBatch.of_lists(() if one is None else (self.container(one),) for one in _plain(container_id))

    def by_pod_uid(self, uid: Sequence[str | None]) -> OwnerBatch:
        """By pod UIDs."""
        return OwnerBatch.of_lists(() if one is None else (self.pod(one),) for one in _plain(uid))

    def container(self, container_id: str) -> Owner:
        """A container by its id, also one that nothing else is known of."""
        row = self._source.containers.get(container_id)
        return Owner(container_id) if row is None else self._of_container(row)

    def pod(self, uid: str) -> Owner:
        """A pod by its UID, no container of it in particular."""
        row = self._source.pods.get(uid)
        return Owner(pod_uid=uid, pod_name=row.pod_name if row else None, namespace=row.namespace if row else None)

    def process(self, pid: int) -> Owner:
        """The owner of a process; the node for one that is in no container or not known."""
        return next(iter(self._pids.get(pid, ())), NODE)

    def cgroup(self, path: str) -> Owner:
        """The container, pod or node that a cgroup is of."""
        container = container_of_cgroup(self._source.membership, path)
        if container is not None:
            return self.container(container)
        ids = self._source.membership.ids.get(path)
        return self.pod(ids.pod_uid) if ids is not None and ids.pod_uid is not None else NODE

    def container_named(self, uid: str, name: str) -> Owner | None:
        """The container of this name in a pod, if there is one only."""
        rows = self._source.containers.values()
        same = [row for row in rows if row.pod_uid == uid and row.container_name == name]
        return self._of_container(same[0]) if len(same) == 1 else None

    @functools.cached_property
    def by_mount_namespace(self) -> dict[int, tuple[Owner, ...]]:
        """Containers by address of mount namespace; the node's own, and strangers in it, left out."""
        processes, host = self._source.processes, self._source.host_mnt_ns
        found: dict[int, set[Owner]] = defaultdict(set)
        for space, process in zip(processes.mnt_ns.tolist(), processes.rows, strict=True):
            owner = self.process(process.tgid)
            if space not in (0, host) and owner.container_id:
                found[space].add(owner)
        return {space: tuple(owners) for space, owners in found.items()}

    def _of_container(self, row: Container) -> Owner:
        # A name that its own container does not know may be known of its pod, from the API or another container.
        pod = self._source.pods.get(row.pod_uid or "")
        return Owner(
            row.container_id,
            row.container_name,
            row.pod_uid,
            row.pod_name or (pod.pod_name if pod else None),
            row.namespace or (pod.namespace if pod else None),
        )

    @functools.cached_property
    def _processes(self) -> dict[int, Owner]:
        """By address of task_struct; a process of which nothing could say where it is, is left out."""
        found = {}
        for process, identity in zip(self._source.processes.rows, self._source.identities, strict=True):
            if identity.container_id:
                found[process.task] = self.container(identity.container_id)
            elif identity.pod_uid:
                found[process.task] = self.pod(identity.pod_uid)
            elif identity.in_container is not None:
                found[process.task] = NODE
        return found

    @functools.cached_property
    def _tasks(self) -> dict[Hashable, tuple[Owner, ...]]:
        known = self._processes
        groups = {process.tgid: known.get(process.task) for process in reversed(self._source.processes.rows)}
        threads = self._source.processes.threads
        found: dict[Hashable, tuple[Owner, ...]] = {}
        for task, tgid in zip(threads.task.tolist(), threads.tgid.tolist(), strict=True):
            owner = known.get(task, groups.get(tgid))
            found[task] = () if owner is None else (owner,)
        return found | {task: (owner,) for task, owner in known.items()}

    @functools.cached_property
    def _pids(self) -> dict[Hashable, tuple[Owner, ...]]:
        threads = self._source.processes.threads
        rows = zip(threads.pid.tolist(), threads.task.tolist(), threads.leader.tolist(), strict=True)
        found: dict[Hashable, tuple[Owner, ...]] = {}
        for pid, task, _ in sorted(rows, key=lambda row: not row[2]):  # a process before a thread that has its number
            found.setdefault(pid, self._tasks[task])
        for process in self._source.processes.rows:  # a group whose leader is not known, by what is left of it
            found.setdefault(process.tgid, self._tasks[process.task])
        return found

    @functools.cached_property
    def _namespaces(self) -> dict[Hashable, tuple[Owner, ...]]:
        found: dict[int, set[Owner]] = defaultdict(set)
        for process in self._source.processes.rows:
            owner = self._processes.get(process.task)
            for inum in process.namespaces.values():
                if inum and owner is not None:
                    found[inum].add(owner)
        for inum in self._source.membership.host.values():
            if inum:
                found[inum].add(NODE)
        return {inum: tuple(sorted(owners, key=_order)) for inum, owners in found.items()}


def _order(owner: Owner) -> tuple[str, ...]:
    return tuple(part or "" for part in owner.parts())


def sort_owners(owners: Iterable[Owner]) -> tuple[Owner, ...]:
    """Each owner once, in the order of container ids, then pods."""
    return tuple(sorted(set(owners), key=_order))


def _plain(keys: Any) -> list[Any]:
    if hasattr(keys, "to_pylist"):
        return list(keys.to_pylist())
    return list(keys.tolist() if isinstance(keys, np.ndarray) else keys)


def _batch(known: dict[Hashable, tuple[Owner, ...]], keys: Any) -> OwnerBatch:
    """Owners of keys; each distinct key is looked up once."""
    unique, back = np.unique(np.asarray(_plain(keys), np.uint64), return_inverse=True)
    few = OwnerBatch.of_lists(known.get(key, ()) for key in unique.tolist())
    count = np.diff(few.first)[back]
    first = np.concatenate(([0], np.cumsum(count, dtype=np.int64)))
    start = few.first[:-1][back]
    step = np.arange(int(count.sum())) - np.repeat(first[:-1], count)
    return OwnerBatch(few.owners, first, few.index[np.repeat(start, count) + step])
