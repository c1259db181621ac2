# SPDX-License-Identifier: Apache-2.0
"""Whose is this: the container and pod of tasks, cgroups, namespaces, files, pages, asked in batches over arrays.

The one place that answers it, for every table, the hunt and the volatility3 host. Something may have several owners
(a page of a shared layer, the network namespace of a pod's containers), none that is known, or the node itself.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from memir.kernel import page
from memir.kernel.rmap import anonymous_regions
from memir.kube.cgroups import parse_cgroup
from memir.kube.membership import container_of_cgroup
from memir.kube.owner_batch import (
    NODE,
    PARTS,
    Owner,
    OwnerBatch,
    owners_of_keys,
    owners_of_numbers,
    plain_keys,
    sort_owners,
)
from memir.kube.residents import residents

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
    from memir.kube.containers import Container
    from memir.kube.identity import Identity
    from memir.kube.membership import Membership
    from memir.kube.names import Names
    from memir.kube.node_identity import NodeMatch
    from memir.kube.pods import Pod
    from memir.kube.processes import Process, ProcessList

__all__ = ["NODE", "PARTS", "Owner", "OwnerBatch", "Owners", "sort_owners"]


class Placed(Protocol):
    """What owners are told by: memir.kube.ram.RamSource is one."""

    @property
    def processes(self) -> ProcessList: ...
    @property
    def identities(self) -> list[Identity]: ...
    @property
    def membership(self) -> Membership: ...
    @property
    def names(self) -> Names: ...
    @property
    def pods(self) -> dict[str, Pod]: ...
    @property
    def host_mnt_ns(self) -> int: ...
    @property
    def kernel(self) -> Kernel: ...
    @property
    def file_owners(self) -> FileOwners: ...
    @property
    def node(self) -> NodeMatch: ...
    @property
    def owners_by_sock(self) -> Mapping[Hashable, tuple[Owner, ...]]: ...


class FileInfo(Protocol):
    """What is known of a file: memir.kube.files.FileInfo is one."""

    @property
    def owners(self) -> tuple[Owner, ...]: ...


class FileOwners(Protocol):
    """Whose files and file systems are: memir.kube.files.Files is one."""

    def of(self, mapping: Iterable[int]) -> Mapping[int, FileInfo]: ...
    def of_superblock(self, superblock: int) -> tuple[Owner, ...]: ...


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
        return owners_of_keys(self._tasks, task)

    def by_pid(self, pid: Any) -> OwnerBatch:
        """By process ids, or ids of threads, in the node's own pid namespace."""
        return owners_of_keys(self._pids, pid)

    def by_cgroup(self, path: Sequence[str | None]) -> OwnerBatch:
        """By paths of cgroups as the table `processes` has them; a path inside a container's cgroup is its."""
        return OwnerBatch.of_lists(() if text is None else (self.cgroup(text),) for text in path)

    def by_namespace(self, inum: Any) -> OwnerBatch:
        """By numbers of namespaces of any kind (the kernel numbers all kinds together)."""
        return owners_of_keys(self._namespaces, inum)

    def by_container_id(self, container_id: Sequence[str | None]) -> OwnerBatch:
        """By container ids."""
        idents = plain_keys(container_id)
        return OwnerBatch.of_lists(() if ident is None else (self.container(ident),) for ident in idents)

    def by_pod_uid(self, uid: Sequence[str | None]) -> OwnerBatch:
        """By pod UIDs."""
        return OwnerBatch.of_lists(() if pod is None else (self.pod(pod),) for pod in plain_keys(uid))

    def by_superblock(self, superblock: Any) -> OwnerBatch:
        """By addresses of super_block; the node's where it has the file system mounted, for no container."""
        files = self._source.file_owners
        return owners_of_numbers(superblock, lambda unique: [files.of_superblock(address) for address in unique])

    def by_sock(self, sock: Any) -> OwnerBatch:
        """By addresses of struct sock, also those that no process holds."""
        return owners_of_keys(self._source.owners_by_sock, sock)

    def by_inode(self, inode: Any) -> OwnerBatch:
        """By addresses of inode; one that is not readable has no owner."""
        return owners_of_numbers(inode, self._of_inodes)

    def by_page(self, pfn: Any) -> OwnerBatch:
        """By page frame numbers: of a file its owners, of anonymous memory those of the processes it was made for.

        The kernel's own pages are the node's; a free page, and one of which struct page does not tell, is nobody's.
        """
        return owners_of_numbers(pfn, self._of_pages)

    def by_address(self, address: Any) -> OwnerBatch:
        """By physical addresses: the owners of the page there."""
        return self.by_page([place >> 12 for place in plain_keys(address)])

    def by_pod_ip(self, address: Sequence[str | None]) -> OwnerBatch:
        """By IP addresses of pods, as the API has them; the node's own for a pod in its network is not a pod's."""
        return OwnerBatch.of_lists(self._pod_ips.get(ip, ()) for ip in plain_keys(address))

    def container(self, container_id: str) -> Owner:
        """A container by its id, also one that nothing else is known of."""
        row = self._source.names.containers.get(container_id)
        return Owner(container_id) if row is None else self._of_container(row)

    def pod(self, uid: str) -> Owner:
        """A pod by its UID, no container of it in particular."""
        row = self._source.names.pods.get(uid)
        return Owner(pod_uid=uid, pod_name=row.pod_name if row else None, namespace=row.namespace if row else None)

    def process(self, pid: int) -> Owner | None:
        """The owner of a process: the node for one that is in no container, None where nothing could say its place."""
        return next(iter(self._pids.get(pid, ())), None)

    def cgroup(self, path: str) -> Owner:
        """The container, pod or node that a cgroup is of."""
        container = container_of_cgroup(self._source.membership, path)
        if container is not None:
            return self.container(container)
        known = self._source.membership.ids
        ids = known[path] if path in known else parse_cgroup(path)  # in which no process is
        if ids is not None and ids.container_id is not None:
            if ids.container_id in self._source.names.containers or ids.pod_uid is None:
                return self.container(ids.container_id)
            pod = self.pod(ids.pod_uid)  # of a container that has been removed the path alone is left
            return Owner(ids.container_id, None, pod.pod_uid, pod.pod_name, pod.namespace)
        return self.pod(ids.pod_uid) if ids is not None and ids.pod_uid is not None else NODE

    def container_named(self, uid: str, name: str) -> Owner | None:
        """The container of this name in a pod, if there is one only."""
        rows = self._source.names.containers.values()
        same = [row for row in rows if row.pod_uid == uid and row.container_name == name]
        return self._of_container(same[0]) if len(same) == 1 else None

    @functools.cached_property
    def by_mount_namespace(self) -> dict[int, tuple[Owner, ...]]:
        """Containers by address of mount namespace; the node's own, and strangers in one, left out."""
        processes, host = self._source.processes, self._source.host_mnt_ns
        spaces = zip(processes.mnt_ns.tolist(), processes.rows, strict=True)
        inside = residents(
            ((space, process) for space, process in spaces if space not in (0, host)),
            self._processes, self._source.membership,
        )  # fmt: skip
        owners = {space: tuple(owner for owner in who if owner.container_id) for space, who in inside.items()}
        return {space: who for space, who in owners.items() if who}

    def _of_container(self, row: Container) -> Owner:
        # A name that its own container does not know may be known of its pod, from the API or another container.
        pod = self._source.names.pods.get(row.pod_uid or "")
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
        owners = {}
        for process, identity in zip(self._source.processes.rows, self._source.identities, strict=True):
            if identity.container_id:
                owners[process.task] = self.container(identity.container_id)
            elif identity.pod_uid:
                owners[process.task] = self.pod(identity.pod_uid)
            elif identity.in_container is not None:
                owners[process.task] = NODE
        return owners

    @functools.cached_property
    def _tasks(self) -> dict[Hashable, tuple[Owner, ...]]:
        known = self._processes
        groups = {process.tgid: known.get(process.task) for process in reversed(self._source.processes.rows)}
        threads = self._source.processes.threads
        owners: dict[Hashable, tuple[Owner, ...]] = {}
        for task, tgid in zip(threads.task.tolist(), threads.tgid.tolist(), strict=True):
            owner = known.get(task, groups.get(tgid))
            owners[task] = () if owner is None else (owner,)
        return owners | {task: (owner,) for task, owner in known.items()}

    @functools.cached_property
    def _pids(self) -> dict[Hashable, tuple[Owner, ...]]:
        threads = self._source.processes.threads
        rows = zip(threads.pid.tolist(), threads.task.tolist(), threads.leader.tolist(), strict=True)
        owners: dict[Hashable, tuple[Owner, ...]] = {}
        for pid, task, _ in sorted(rows, key=lambda row: not row[2]):  # a process before a thread that has its number
            owners.setdefault(pid, self._tasks[task])
        for process in self._source.processes.rows:  # a group whose leader is not known, by what is left of it
            owners.setdefault(process.tgid, self._tasks[process.task])
        return owners

    def _of_inodes(self, inode: list[int]) -> list[tuple[Owner, ...]]:
        mapping, read = self._source.kernel.try_read(np.array(inode, np.uint64), "inode", "i_mapping")
        known = self._source.file_owners.of(mapping[read].tolist())
        return [known[address].owners if address in known else () for address in mapping.tolist()]

    def _of_pages(self, pfn: list[int]) -> list[tuple[Owner, ...]]:
        frames, pages = np.array(pfn, np.uint64), self._pages
        use = pages.use_of(frames)
        mapping, _ = page.owners(self._source.kernel, frames)
        files = self._source.file_owners.of(mapping[use == page.FILE].tolist())
        anonymous = np.flatnonzero(use == page.ANON)
        row, region = anonymous_regions(self._source.kernel, mapping[anonymous])
        space = self._source.kernel.pointer(region, "vm_area_struct", "vm_mm", gap=False)
        people: dict[int, set[Owner]] = defaultdict(set)
        for place, mm in zip(anonymous[row].tolist(), space.tolist(), strict=True):
            people[place] |= self._address_spaces.get(mm, set())
        owners: list[tuple[Owner, ...]] = []
        for place, (code, file) in enumerate(zip(use.tolist(), mapping.tolist(), strict=True)):
            if code == page.FILE and file in files:
                owners.append(files[file].owners)
            else:
                owners.append((NODE,) if code == page.KERNEL else sort_owners(people.get(place, ())))
        return owners

    @functools.cached_property
    def _pages(self) -> page.Pages:
        return page.pages(self._source.kernel)

    @functools.cached_property
    def _address_spaces(self) -> dict[int, set[Owner]]:
        """By address of mm_struct; one that two containers' processes share (CLONE_VM) has both."""
        owners: dict[int, set[Owner]] = defaultdict(set)
        living = self._source.processes.living
        spaces = self._source.kernel.read(living, "task_struct", "mm").tolist()
        for mm, process in zip(spaces, self._source.processes.rows, strict=True):
            if mm and (owner := self._processes.get(process.task)) is not None:
                owners[mm].add(owner)
        return owners

    @functools.cached_property
    def _pod_ips(self) -> dict[str, tuple[Owner, ...]]:
        owners_of: dict[str, set[Owner]] = defaultdict(set)
        cluster = self._source.node.cluster
        for pod in cluster.pods.values() if cluster is not None else ():
            uid = pod.config_hash if pod.config_hash in self._source.pods else pod.uid
            for address in () if pod.host_network else pod.pod_ips:
                owners_of[address].add(self.pod(uid))
        return {address: sort_owners(owners) for address, owners in owners_of.items()}

    @functools.cached_property
    def _namespaces(self) -> dict[Hashable, tuple[Owner, ...]]:
        own = {kind: inum for kind, inum in self._source.membership.host.items() if inum}
        # where the node's own is not known, a pod's may be it: a pod in the node's network has not got it
        rows: list[tuple[Hashable, Process]] = [
            (inum, row)
            for row in self._source.processes.rows
            for kind, inum in row.namespaces.items()
            if inum and kind in own
        ]
        host: set[Hashable] = set(own.values())
        return residents(rows, self._processes, self._source.membership, host)
