# SPDX-License-Identifier: Apache-2.0
"""A node as its RAM has it: from one located kernel to its pods, each part read when first asked for."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Hashable
from typing import Literal

import numpy as np

from memir.gaps import Gaps
from memir.kernel import sched, slab
from memir.kernel.cgroup_tree import Cgroups, cgroups
from memir.kernel.engine import Kernel
from memir.kernel.module import module_of_filesystem
from memir.kernel.module_witnesses import Modules, modules
from memir.kernel.mount import Mounts
from memir.kernel.mountinfo import MountInfo, mountinfo, reader_roots
from memir.kernel.net_namespace import initial, net_namespaces, of_tasks
from memir.kernel.netdevice import Devices, devices
from memir.kernel.nf_conntrack import Connections, connections
from memir.kernel.page import Pages, pages
from memir.kernel.pagetable import U64
from memir.kernel.ram import Coverage, coverage
from memir.kernel.reference_image import ImageReference
from memir.kernel.reference_text import Reference
from memir.kernel.rows import distinct
from memir.kernel.smear import Smear, smear
from memir.kernel.vma import Vmas, mapped_files, vmas
from memir.kube.addresses import Addresses
from memir.kube.claims import Claims
from memir.kube.containers import Container, build_containers
from memir.kube.files import Files
from memir.kube.identity import Identity, identify
from memir.kube.inodes import NodeInodes, every_inode
from memir.kube.kubelet import Statuses, statuses
from memir.kube.membership import Membership, memberships
from memir.kube.mountpoints import NamespaceMounts, mounts_by_namespace, root_filesystems
from memir.kube.names import Names, names
from memir.kube.node_identity import NodeFacts, NodeMatch, compare_times, match_node, node_facts, pods_in_memory
from memir.kube.owner import Owner, Owners
from memir.kube.pods import Pod, build_pods, with_removed
from memir.kube.processes import ProcessList, processes
from memir.kube.runtime import RuntimeFiles, runtime_files
from memir.kube.secrets import Secrets
from memir.kube.snapshot import ClusterSnapshot
from memir.kube.sockets import Sockets, owners_of, sockets
from memir.kube.swap import count_swapped


class RamSource:
    """What tables are read from when the source is RAM. What could not be read is in `gaps`."""

    kind: Literal["ram"] = "ram"

    def __init__(self, kernel: Kernel, cluster: ClusterSnapshot | None = None) -> None:
        """cluster: what the Kubernetes API said, to be joined with what memory says."""
        self.kernel = kernel
        self.cluster = cluster
        self.reference: Reference | ImageReference | None = None
        """Text and read-only data as the kernel was built, where that was given: the table hooks compares with it."""
        self.secret_key: bytes | None = None
        """Key of fingerprints of passwords, a case's own; set before tables are read, else a random one is used."""
        self._claims = Claims()

    @functools.cached_property
    def secrets(self) -> Secrets:
        """Masks what is secret in its tables, and keeps the clear values by fingerprint."""
        return Secrets(self.secret_key)

    @property
    def gaps(self) -> Gaps:
        """Of the kernel and of everything read from it."""
        return self.kernel.gaps

    @functools.cached_property
    def coverage(self) -> Coverage:
        """How much of the node's RAM the image holds."""
        return coverage(self.kernel)

    @functools.cached_property
    def smear(self) -> Smear:
        """Over how long the image was read, and how much of it does not fit together."""
        return smear(self.kernel, sum(bool(identity.disagreements) for identity in self.identities))

    @functools.cached_property
    def mounts(self) -> Mounts:
        """Mounts and dentries that were met."""
        return Mounts(self.kernel)

    @functools.cached_property
    def processes(self) -> ProcessList:
        """Every process, in the order of pids, and every thread."""
        return processes(self.kernel, self.mounts)

    @functools.cached_property
    def host_mnt_ns(self) -> int:
        """Address of the node's own mount namespace, that of process 1; 0 if it could not be read."""
        rows = zip(self.processes.mnt_ns.tolist(), self.processes.rows, strict=True)
        return next((int(space) for space, process in rows if process.pid == 1), 0)

    @functools.cached_property
    def mount_table(self) -> MountInfo:
        """Every mount of every namespace that a thread is in, or that a superblock knows, as mountinfo shows it."""
        space, root = reader_roots(self.kernel, self.processes.threads.task)
        return mountinfo(self.kernel, self.mounts, space, root)

    @functools.cached_property
    def dentry_slots(self) -> U64:
        """Every slot of the slab of dentries, used or free; the mounts' roots say which slab that is."""
        _ = self.mount_table  # loads the mounts
        roots = np.array([mount.root for mount in self.mounts.known.values() if mount.root], np.uint64)
        cache = slab.cache_of(self.kernel, roots)
        self.kernel.gaps.add("dentry", "their slab", "was not found", int(not cache))
        return slab.objects(self.kernel, cache) if cache else np.zeros(0, np.uint64)

    @functools.cached_property
    def cgroup_tree(self) -> Cgroups:
        """Every cgroup of every hierarchy, also those without processes."""
        return cgroups(self.kernel, self.processes.threads.task)

    @functools.cached_property
    def modules(self) -> Modules:
        """Every kernel module that any witness has."""
        return modules(self.kernel, lambda: module_of_filesystem(self.kernel, distinct(self.mount_table.superblock)))

    @functools.cached_property
    def net_namespaces(self) -> tuple[U64, U64]:
        """(struct net, inum) of every network namespace, by number."""
        return net_namespaces(self.kernel, of_tasks(self.kernel, self.processes.threads.task))

    @functools.cached_property
    def interfaces(self) -> Devices:
        """Interfaces of every namespace of net_namespaces."""
        return devices(self.kernel, self.net_namespaces[0])

    @functools.cached_property
    def addresses(self) -> Addresses:
        """What addresses are to this node: its pods', its own, services', ..."""
        return Addresses(self)

    @functools.cached_property
    def sockets(self) -> Sockets:
        """Every socket, and who holds it."""
        threads = self.processes.threads.task
        return sockets(self.kernel, self.file_tasks, self.net_namespaces, self.mapped_files, threads)

    @functools.cached_property
    def mapped_files(self) -> tuple[U64, U64]:
        """(task, struct file) of files that processes have in their memory, each pair once."""
        return mapped_files(self.kernel, self.processes.living, *self.regions)

    @functools.cached_property
    def socket_owners(self) -> list[tuple[Owner, ...]]:
        """Whose each row of `sockets` is."""
        return owners_of(self.kernel, self.sockets, self.owners, self.membership.host.get("net", 0))

    @functools.cached_property
    def owners_by_sock(self) -> dict[Hashable, tuple[Owner, ...]]:
        """The same by address of struct sock."""
        return dict(zip(self.sockets.rows.sock.tolist(), self.socket_owners, strict=True))

    @functools.cached_property
    def connections(self) -> Connections | None:
        """What netfilter follows; None where it follows none."""
        return connections(self.kernel, self.net_namespaces[0], lambda: self.modules.module)

    @functools.cached_property
    def file_tasks(self) -> U64:
        """One living task for each table of open files that a process has (threads may have unshared theirs)."""
        return self.one_for_each("files")

    def one_for_each(self, member: str) -> U64:
        """One living task for each structure (member of task_struct) that a process or a thread of it has."""
        threads = self.processes.threads
        table = self.kernel.pointer(threads.task, "task_struct", member)
        pairs = np.stack((threads.tgid.astype(np.uint64), table), 1)[table != 0]
        _, first = np.unique(pairs, axis=0, return_index=True)
        tasks: U64 = threads.task[table != 0][np.sort(first)]
        return tasks

    @functools.cached_property
    def pid_of(self) -> dict[int, int]:
        """The process of each living thread, by the address of its task_struct."""
        threads = self.processes.threads
        return dict(zip(threads.task.tolist(), threads.tgid.tolist(), strict=True))

    @functools.cached_property
    def regions(self) -> tuple[U64, Vmas]:
        """(mm_structs of living tasks, each once, their memory regions, by the mm's row)."""
        space = self.kernel.pointer(self.processes.living, "task_struct", "mm")
        mm = distinct(space[space != 0])
        return mm, vmas(self.kernel, mm)

    def users_of(self, mm: int) -> list[tuple[int, int]]:
        """(pid, task) of the processes that have this mm_struct, by pid: more than one where they share it."""
        return self._users.get(mm, [])

    @functools.cached_property
    def _users(self) -> dict[int, list[tuple[int, int]]]:
        living = self.processes.living
        users: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for task, mm in zip(living.tolist(), self.kernel.pointer(living, "task_struct", "mm").tolist(), strict=True):
            users[mm].append((self.pid_of[task], task))
        return {mm: sorted(pairs) for mm, pairs in users.items() if mm}

    @functools.cached_property
    def pages(self) -> Pages:
        """What each page of RAM is used for; pages of which that is not told are no gap here."""
        return pages(self.kernel, count=False)

    @functools.cached_property
    def inodes(self) -> NodeInodes:
        """Every inode that memory holds, and every name."""
        return every_inode(self)

    @functools.cached_property
    def namespace_mounts(self) -> NamespaceMounts:
        """The mounts of every namespace that a process is in."""
        spaces = distinct(self.processes.mnt_ns[self.processes.mnt_ns != 0])
        return mounts_by_namespace(self.kernel, self.mounts, spaces)

    @functools.cached_property
    def files(self) -> RuntimeFiles:
        """OCI specs and runtime states that memory holds."""
        host = self.namespace_mounts.of(self.host_mnt_ns)  # loads the mounts that paths are made of
        return runtime_files(self.kernel, self.mounts, host, self.processes.living)

    @functools.cached_property
    def membership(self) -> Membership:
        """What the witnesses share: ids by cgroup, each container's first process, whose namespaces are whose."""
        return memberships(self.processes.rows, self.files, self._own_cluster, self._claims,
                           lambda: initial(self.kernel, *self.net_namespaces))  # fmt: skip

    @functools.cached_property
    def identities(self) -> list[Identity]:
        """Where each process belongs, in the order of processes.rows."""
        return identify(self.processes.rows, self.membership)

    @functools.cached_property
    def statuses(self) -> Statuses:
        """What the kubelet last reported of containers and pods, by its own memory."""
        return statuses(self.kernel, self.processes.rows)

    @functools.cached_property
    def containers(self) -> dict[str, Container]:
        """Containers by id, of memory and of the API."""
        rows = self.processes.rows
        inums = {int(ns): row.namespaces["mnt"] for ns, row in zip(self.processes.mnt_ns, rows, strict=True)}
        known = root_filesystems(self.kernel, self.mounts, self.namespace_mounts, self.host_mnt_ns)
        roots = {inums[space]: root for space, root in known.items() if space in inums}
        torn = sched.incomplete(self.gaps) or self._unplaced()
        containers = build_containers(
            rows,
            self.identities,
            self.membership,
            self.files,
            roots,
            self.node.cluster,
            statuses=self.statuses.containers,
            kinds=self.statuses.kinds,
            torn=torn,
            booted=self.facts.booted,
        )
        started = {container: init.start for container, init in self.membership.init.items() if init.start is not None}
        compare_times(containers, started, self.node.cluster, self.facts.clock, self.gaps, self.facts.booted)
        return containers

    @functools.cached_property
    def names(self) -> Names:
        """How containers and pods are called."""
        if "pods" not in self.__dict__:
            witnesses = self.processes.rows, self.identities, self.membership, self.files, self._own_cluster
            if (short := names(*witnesses)) is not None:
                return short
        return Names(self.containers, self.pods)

    @functools.cached_property
    def pods(self) -> dict[str, Pod]:
        """Pods by UID, of memory and of the API."""
        known, tree = (self.containers, self.identities, self.membership, self.files), self.cgroup_tree
        pods = build_pods(*known, self.node.cluster, self.name, self.statuses.phases, self.statuses.deleted)
        removed = [path for path, gone in zip(tree.path, tree.dying, strict=True) if gone and path]
        return with_removed(pods, removed, self.name)

    @property
    def claims(self) -> Claims:
        """What every witness says of processes, containers and pods."""
        _ = self.pods  # whose building adds the last of them
        return self._claims

    @functools.cached_property
    def swapped(self) -> dict[int, int]:
        """Pages swapped out of processes, by pid; counted in `gaps`, once, as they can be neither read nor scanned."""
        return count_swapped(self)

    @functools.cached_property
    def owners(self) -> Owners:
        """Whose anything of the node is."""
        return Owners(self)

    @functools.cached_property
    def file_owners(self) -> Files:
        """Whose each file of the page cache is, and where it lies."""
        return Files(self)

    @functools.cached_property
    def facts(self) -> NodeFacts:
        """What the node knows of itself: names, addresses, ids, the capture's clock."""
        return node_facts(self.kernel, self.processes, self.mounts)

    @functools.cached_property
    def node(self) -> NodeMatch:
        """Which node of the cluster this is, and the API's pods that are its own."""
        uids = pods_in_memory(self.processes.rows, self.files)
        return match_node(self.facts, uids, self.cluster, self._claims, self.gaps)

    @property
    def _own_cluster(self) -> ClusterSnapshot | None:
        """The API's pods that are the node's own: which node it is nobody has to know where there are none."""
        return self.node.cluster if self.cluster is not None else None

    @property
    def name(self) -> str | None:
        """The node's name: as its cluster has it where memory shows which of its nodes this is, else its own."""
        return self.node.name

    def _unplaced(self) -> bool:
        """Whether a process may be in a container that nobody could say."""
        return any(
            process.cgroup_path is None and identity.container_id is None and not process.kernel_thread
            for process, identity in zip(self.processes.rows, self.identities, strict=True)
        )
