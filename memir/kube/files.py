# SPDX-License-Identifier: Apache-2.0
"""Whose file a page of the page cache belongs to: its path, whether it is deleted, and the containers that
have it.

A container's files are on the layers of its overlay, never on the overlay itself, so a file is followed up
its directories until one is the root of some container's layer. Where the root is no overlay (the native
snapshotter's directory, devmapper's file system) it is followed up to that root instead. A file system that
only containers have mounted is theirs; a path of the kubelet's or the runtime's names the pod; a directory of
the node that a container has as a volume is the node's and the container's; a memfd is its users'. That a
container can reach a file, as one with the node's / at /host can reach all of them, makes it nobody's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from memir.kernel import fs
from memir.kernel.dcache import unlinked
from memir.kernel.list import hlist_nodes
from memir.kernel.mount import mount_of
from memir.kernel.pagetable import U64
from memir.kube.file_users import files_in_use
from memir.kube.layers import layer_roots, nearest_above, overlays_of
from memir.kube.mountpoints import node_paths
from memir.kube.owner import NODE, Owner, sort_owners
from memir.kube.paths import container_id_of, container_name_of, pod_uid_of, sandbox_id_of, storage_id_of

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
    from memir.kernel.mount import Mounts
    from memir.kernel.mountinfo import MountInfo
    from memir.kube.mountpoints import NamespaceMounts
    from memir.kube.owner import Owners
    from memir.kube.processes import ProcessList

_POD_LOG = re.compile(r"/log/pods/[^/_]+_[^/_]+_([0-9a-f-]{32,36})/([0-9A-Za-z][0-9A-Za-z._-]*)/")


@dataclass(frozen=True, slots=True)
class FileInfo:
    """path: as the owner sees it; None: not known. owners: (nobody known: NODE). source: how it
    is known."""

    path: str | None
    deleted: bool | None
    owners: tuple[Owner, ...]
    source: str


@dataclass(frozen=True, slots=True)
class _Inode:
    """A file's address_space, its first dentry, its superblock and that one's root dentry; 0: none."""

    mapping: int
    dentry: int
    superblock: int
    root: int


class Mounted(Protocol):
    """What files are told by: memir.kube.ram.RamSource is one."""

    @property
    def kernel(self) -> Kernel: ...  # noqa: D102
    @property
    def mounts(self) -> Mounts: ...  # noqa: D102
    @property
    def namespace_mounts(self) -> NamespaceMounts: ...  # noqa: D102
    @property
    def processes(self) -> ProcessList: ...  # noqa: D102
    @property
    def owners(self) -> Owners: ...  # noqa: D102
    @property
    def mount_table(self) -> MountInfo: ...  # noqa: D102
    @property
    def host_mnt_ns(self) -> int: ...  # noqa: D102


class Files:
    """Files by struct address_space, read when they are asked for."""

    def __init__(self, node: Mounted) -> None:
        self._node, self._kernel = node, node.kernel
        self._who = node.owners
        self._known: dict[int, FileInfo] = {}
        self._host, info = node.host_mnt_ns, node.mount_table
        self._mounts_of: dict[int, list[tuple[int, int]]] = defaultdict(list)  # superblock: namespace, mount
        for space, address in zip(info.space.tolist(), info.mount.tolist(), strict=True):
            if space and address in node.mounts.known:
                self._mounts_of[node.mounts.known[address].superblock].append((space, address))
        self._of_space = node.owners.by_mount_namespace
        self.tops = node_paths(self._node.mounts, self._node.namespace_mounts.of(self._host))
        overlays = overlays_of(self._kernel, np.array(sorted(self._mounts_of), np.uint64))
        self.overlays = set(overlays.tolist())
        self.layers = layer_roots(self._kernel, overlays)
        self.upper = {entry: any(top for _, top in of) for entry, of in self.layers.items()}
        self.container_roots, self.volumes = self._mounted_by_containers()
        self._users: dict[int, set[Owner]] | None = None
        self._private: dict[int, tuple[Owner, ...]] = {}

    def of(self, mapping: Iterable[int]) -> dict[int, FileInfo]:
        """What is known of these files."""
        wanted = list(dict.fromkeys(mapping))
        new = np.array([address for address in wanted if address not in self._known], np.uint64)
        if len(new):
            self._load(new)
        return {address: self._known[address] for address in wanted}

    def of_superblock(self, superblock: int) -> tuple[Owner, ...]:
        """Whose a whole file system is: of containers that alone have it, or have it as root; none: nobody has it."""
        mounts = self._mounts_of.get(superblock)
        owners = self.private(superblock)
        if owners or not mounts:
            return owners
        root = self.container_roots.get(self._node.mounts.known[mounts[0][1]].root)
        if root:
            return sort_owners(root)
        top = self.tops.get(superblock)
        named = self._by_path(_text(top), superblock) if top else None
        return (named or NODE,)

    def _load(self, mapping: U64) -> None:
        kernel = self._kernel
        inode = kernel.pointer(mapping, "address_space", "host", gap=False)
        superblock = kernel.pointer(inode, "inode", "i_sb", gap=False)
        nlink, read = kernel.try_read(inode, "inode", "i_nlink")
        number = kernel.try_read(inode, "inode", "i_ino")[0]
        kinds = fs.types_of(kernel, superblock)
        first, node = hlist_nodes(
            kernel, np.where(inode != 0, kernel.embedded(inode, "inode", "i_dentry"), 0), "file name"
        )
        dentry = np.zeros(len(mapping), np.uint64)
        name = kernel.first_member("dentry", "d_alias", "d_u.d_alias")
        aliases = kernel.container(node, "dentry", name)
        dentry[first[::-1]] = aliases[::-1]  # the first name of several
        self._node.mounts.dentries.load(dentry)
        gone = unlinked(kernel, dentry) | (read & (nlink == 0))
        root = kernel.pointer(superblock, "super_block", "s_root", gap=False)
        for row, address in enumerate(mapping.tolist()):
            kind = (kinds[row] or b"?").decode("utf-8", "backslashreplace")
            about = f"page cache of {kind} inode {int(number[row])}" if inode[row] else "page cache, no inode"
            inode_read = _Inode(address, int(dentry[row]), int(superblock[row]), int(root[row]))
            path, owners, place = self._place(inode_read)
            deleted = bool(gone[row]) if inode[row] else None
            self._known[address] = FileInfo(path, deleted, owners or (NODE,), about + place)

    def _place(self, file: _Inode) -> tuple[str | None, tuple[Owner, ...], str]:
        """(path, owners, what to add to the source) of a file."""
        dentries, superblock, dentry = self._node.mounts.dentries, file.superblock, file.dentry
        if not dentry:
            return None, self.private(superblock) or self._mapped_by(file.mapping), ""
        if dentries.parent(dentry) == dentry and dentry != file.root:  # memfd, SysV segment, shared memory
            name = dentries.name(dentry)
            return None if name is None else "/" + _text(name), self._mapped_by(file.mapping), ""
        inside, top = dentries.path(dentry), self.tops.get(superblock)
        on_node = None if inside is None or top is None else _text(top + inside)
        layer = nearest_above(dentries, dentry, self.layers)
        if layer is not None:
            below = dentries.below(dentry, layer)
            path = on_node if below is None else "/" + _text(b"/".join(below))
            which = "upper" if self.upper[layer] else "lower"
            owners = {owner for sb, _ in self.layers[layer] for owner in self._overlay_owners(sb)}
            return path, sort_owners(owners), f", {which} layer, on the node {on_node}"
        private = self.private(superblock)
        if private:
            return self._seen_at(superblock, dentry) or on_node, private, ""
        root = nearest_above(dentries, dentry, self.container_roots)
        if root is not None:
            below = dentries.below(dentry, root)
            path = on_node if below is None else "/" + _text(b"/".join(below))
            return path, sort_owners(self.container_roots[root]), f", root of a container, on the node {on_node}"
        if on_node is None:
            return self._seen_at(superblock, dentry), self._mapped_by(file.mapping), ""
        named = self._by_path(on_node, superblock)
        if named is not None:
            return on_node, (named,), ""
        volume = nearest_above(dentries, dentry, self.volumes)
        return on_node, () if volume is None else sort_owners({NODE, *self.volumes[volume]}), ""

    def _by_path(self, path: str, superblock: int) -> Owner | None:
        """The container or pod that a path of the kubelet's or a runtime's names."""
        who = self._who
        log, uid = _POD_LOG.search(path), pod_uid_of(path)
        # the first name counts: what follows may be a pod's own directories, named to look like another's
        if log and (uid is None or log.start() < path.find(uid)):
            return who.container_named(log[1], log[2]) or who.pod(log[1])
        named = container_name_of(path)
        if named and uid in (None, named[0]):
            return who.container_named(*named) or who.pod(named[0])
        if uid:
            spaces = {space for space, _ in self._mounts_of[superblock] if space != self._host}
            owners = {owner for space in spaces for owner in self._of_space.get(space, ()) if owner.pod_uid == uid}
            return next(iter(owners)) if len(owners) == 1 else who.pod(uid)
        container = container_id_of(path) or sandbox_id_of(path) or storage_id_of(path)
        return who.container(container) if container else None

    def private(self, superblock: int) -> tuple[Owner, ...]:
        """Containers that have this file system mounted, if the node itself has not; of an overlay, whose it is."""
        if superblock not in self._private:
            self._private[superblock] = self._read_private(superblock)
        return self._private[superblock]

    def _read_private(self, superblock: int) -> tuple[Owner, ...]:
        mounts = self._mounts_of.get(superblock, [])
        spaces = {space for space, _ in mounts}
        owners: set[Owner] = set()
        # of a node whose own mounts are not known nothing is a container's alone
        if not spaces or not self._host or self._host in spaces:
            return sort_owners(self._overlay_owners(superblock)) if superblock in self.overlays else ()
        for space in spaces:
            owners |= set(self._of_space.get(space, ()))
        pods = {owner.pod_uid for owner in owners}
        if len(owners) > 1 and len(pods) == 1 and None not in pods:
            return (self._who.pod(next(iter(pods)) or ""),)
        return sort_owners(owners)

    def _seen_at(self, superblock: int, dentry: int) -> str | None:
        """The path through some mount of its file system, containers' before the node's."""
        mounts = self._node.mounts
        for _, mount in sorted(self._mounts_of.get(superblock, []), key=lambda place: place[0] == self._host):
            if mounts.dentries.below(dentry, mounts.known[mount].root) is not None:
                path = mounts.path(mount, dentry)  # both are loaded: the mount by its table, the dentry with its page
                if path is not None:
                    return _text(path)
        return None

    def _mounted_by_containers(self) -> tuple[dict[int, set[Owner]], dict[int, set[Owner]]]:
        """(roots of containers, volumes): containers by the dentry that they have at /, and at other places.

        No overlays: their files lie on layers. Not the node's own root, which many a container has at /host, nor other
        file systems that containers have whole: to be able to reach a file is not to own it.
        """
        mounts = self._node.mounts
        roots: dict[int, set[Owner]] = defaultdict(set)
        volumes: dict[int, set[Owner]] = defaultdict(set)
        rows = [
            (address, mounts.known[address], self._of_space[space])
            for superblock, places in self._mounts_of.items()
            for space, address in places
            if space in self._of_space and superblock not in self.overlays
        ]
        address = np.array([row[0] for row in rows], np.uint64)
        paths = mounts.paths(address, np.array([mount.root for _, mount, _ in rows], np.uint64))
        for (_, mount, owners), path in zip(rows, paths, strict=True):
            whole = mounts.dentries.parent(mount.root) == mount.root
            if path == b"/" and not (whole and self.tops.get(mount.superblock) == b""):
                roots[mount.root] |= set(owners)
            elif not whole:
                volumes[mount.root] |= set(owners)
        return dict(roots), dict(volumes)

    def _overlay_owners(self, superblock: int) -> set[Owner]:
        """Containers whose root is this overlay: by where the runtime mounted it, else by their processes.

        The runtime's directory names the container whose snapshot the upper layer is; who is in its mount namespace may
        have come from elsewhere.
        """
        mounts = self._node.mounts
        path = self.tops.get(superblock)
        container = container_id_of(_text(path)) if path else None
        if container:
            return {self._who.container(container)}
        return {
            owner
            for space, mount in self._mounts_of.get(superblock, [])
            if space != self._host and mounts.known[mount].root in self._roots()
            for owner in self._of_space.get(space, ())
            if (space, mounts.known[mount].superblock) in self._root_of
        }

    def _roots(self) -> set[int]:
        """Roots of mounts that processes in containers have as /; fills _root_of: (namespace, superblock)."""
        if not hasattr(self, "_root_dentries"):
            kernel, node = self._kernel, self._node
            place = kernel.pointer(node.processes.living, "task_struct", "fs", gap=False)
            address = mount_of(kernel, kernel.pointer(place, "fs_struct", "root.mnt", gap=False))
            known = [node.mounts.known.get(mount) for mount in address.tolist()]
            spaces = node.processes.mnt_ns.tolist()
            self._root_of = {
                (ns, mount.superblock) for ns, mount in zip(spaces, known, strict=True) if mount is not None
            }
            self._root_dentries = {mount.root for mount in known if mount is not None}
        return self._root_dentries

    def _mapped_by(self, mapping: int) -> tuple[Owner, ...]:
        """Containers whose processes map the file or have it open."""
        if self._users is None:
            self._users = defaultdict(set)
            rows = self._node.processes.rows
            for row, file in files_in_use(self._kernel, self._node.processes.living):
                owner = self._who.process(rows[row].tgid)
                if owner is not None:  # of unknown place: its files are not the node's for that
                    self._users[file].add(owner)
        return sort_owners(self._users.get(mapping, set()))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
