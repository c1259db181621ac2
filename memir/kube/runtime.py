# SPDX-License-Identifier: Apache-2.0
"""What container runtimes left in memory: OCI specs and runtime states on tmpfs, containerd's metadata in page cache.

The bundles of running containers lie on tmpfs, below /run, so their files are whole in page cache. containerd also
keeps the spec of every container it knows, ended ones too, in its boltdb file meta.db, which it maps: what the
database's tree leads to is there, what lies in its freed pages alone has been removed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from memir.kernel import fs
from memir.kernel.dcache import named
from memir.kernel.engine import Kernel
from memir.kernel.fdtable import open_files
from memir.kernel.mount import Mounts
from memir.kernel.pagemap import file_pages
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct
from memir.kube.bolt import read_bolt
from memir.kube.carve import best_by_container, by_start, carve_specs
from memir.kube.containerd import Registry, registry
from memir.kube.cri_status import CriStatus, cri_statuses
from memir.kube.jwt import ServiceAccountToken, decode_token
from memir.kube.oci import OciSpec, parse_pages
from memir.kube.paths import pod_uid_of
from memir.kube.runc import RuntimeState, parse_state

SPEC_LIMIT = 4 << 20  # config.json has 10 to 100 KiB; a device list makes it a MiB
METADATA_LIMIT = 256 << 20  # meta.db has some MiB; it grows with all that was ever stored
_SPEC, _STATE, _METADATA = b"config.json", b"state.json", b"meta.db"
_TOKEN = b"token"  # token, eks-pod-identity-token: projected volumes' files
_WANTED = re.compile(rb"(?<=\0)(?:config\.json|state\.json)(?=\0)|token(?=\0)")
_VOLUME = b"/volumes/kubernetes.io~projected/"


@dataclass
class RuntimeFiles:
    """By container id: the best spec, and the runtime's state. Where each came from is in its own `where`.

    registry: the containers that containerd's database leads to; None if no database could be read. ended: what the CRI
    plugin's status files say of starts and ends. tokens: (pod UID,
    path, token) of the service account tokens in the kubelet's projected volumes.
    """

    specs: dict[str, OciSpec] = field(default_factory=dict)
    states: dict[str, RuntimeState] = field(default_factory=dict)
    registry: Registry | None = None
    ended: dict[str, CriStatus] = field(default_factory=dict)
    tokens: list[tuple[str, str, ServiceAccountToken]] = field(default_factory=list)

    def off_the_tree(self, container_id: str) -> bool:
        """Whether a container's spec lies in freed pages of the database alone."""
        spec = self.specs.get(container_id)
        if spec is None or not spec.where.startswith("meta.db:") or container_id in self.states:
            return False
        return self.registry is None or container_id not in self.registry.containers


def runtime_files(kernel: Kernel, mounts: Mounts, host_mounts: U64, task: U64) -> RuntimeFiles:
    """Specs and states that memory holds.

    mounts: loaded with every mount of the node. host_mounts: those of the initial mount namespace, which give tmpfs
    files their path. task: processes whose open files are searched for runtimes' metadata.
    """
    specs = _tmpfs_files(kernel, mounts, host_mounts)
    files = RuntimeFiles()
    every: list[OciSpec] = []
    for path, pages in specs:
        if path.endswith(_TOKEN):
            _token(files, path, pages)
            continue
        if path.rsplit(b"/", 1)[-1] == _STATE:
            _state(kernel, files, path, pages)
            continue
        if not _is_spec(pages):
            continue
        spec = parse_pages(pages, path.decode("utf-8", "backslashreplace"), kernel.gaps)
        if spec is not None:
            every.append(spec)
    database = _databases(kernel, mounts, task)
    files.registry, freed = _metadata(kernel, mounts, database)
    files.ended = cri_statuses(kernel, mounts, database)
    if files.registry is not None:
        every.extend(row.spec for row in files.registry.containers.values() if row.spec is not None)
    every.extend(freed)
    files.specs = best_by_container(every)
    return files


def _token(files: RuntimeFiles, path: bytes, pages: list[bytes | None]) -> None:
    """A token in a pod's projected volume: the kubelet writes it there, and a pod cannot."""
    where = path.decode("utf-8", "backslashreplace")
    uid = pod_uid_of(where)
    if uid is None or _VOLUME not in path or not pages or any(page is None for page in pages):
        return
    token = decode_token(b"".join(page or b"" for page in pages).partition(b"\0")[0])
    if token is not None:
        files.tokens.append((uid, where, token))


def _is_spec(pages: list[bytes | None]) -> bool:
    """Many programs have a config.json: one whose first page is there must begin as a spec does."""
    return bool(pages) and (pages[0] is None or b'"ociVersion"' in pages[0][:256])


def _state(kernel: Kernel, files: RuntimeFiles, path: bytes, pages: list[bytes | None]) -> None:
    if not pages or pages[0] is None or b'"init_process' not in b"".join(page or b"" for page in pages):
        return
    where = path.decode("utf-8", "backslashreplace")
    whole = b"".join(page if page is not None else bytes(4096) for page in pages)
    state = parse_state(whole, where, kernel.gaps)
    if state is not None and state.container_id is not None:
        files.states.setdefault(state.container_id, state)


def _tmpfs_files(kernel: Kernel, mounts: Mounts, host_mounts: U64) -> list[tuple[bytes, list[bytes | None]]]:
    """Path and pages of every config.json and state.json on a tmpfs."""
    of_superblock: dict[int, int] = {}
    for address in host_mounts.tolist():
        known = mounts.known.get(address)
        if known is not None:
            of_superblock.setdefault(known.superblock, address)
    superblock = distinct(
        np.array([mount.superblock for mount in mounts.known.values() if mount.superblock], np.uint64)
    )
    kinds = fs.types_of(kernel, superblock)
    tmpfs = superblock[[kind == b"tmpfs" for kind in kinds]]
    owner, dentry = fs.tree(kernel, tmpfs)
    wanted = named(kernel, dentry, _WANTED)
    owner, dentry = owner[wanted], dentry[wanted]
    mounts.dentries.load(dentry)
    inode = kernel.pointer(dentry, "dentry", "d_inode")
    owner, dentry, inode = owner[inode != 0], dentry[inode != 0], inode[inode != 0]
    mount = np.array([of_superblock.get(int(address), 0) for address in tmpfs[owner]], np.uint64)
    paths = mounts.paths(mount, dentry)
    pages = file_pages(kernel, inode, SPEC_LIMIT)
    inside = [mounts.dentries.path(address) for address in dentry.tolist()]
    # a tmpfs whose place on the node is not known still has a path of its own
    return [
        (path if address and path else b"tmpfs:" + (own or b"?"), content)
        for path, address, own, content in zip(paths, mount.tolist(), inside, pages, strict=True)
    ]


def _databases(kernel: Kernel, mounts: Mounts, task: U64) -> U64:
    """Dentries of containerd's metadata files: any meta.db that a process has open."""
    _, _, file = open_files(kernel, task)
    file = distinct(file)
    dentry = kernel.pointer(file, "file", "f_path.dentry")
    mounts.dentries.load(dentry)
    named = np.array([mounts.dentries.name(address) == _METADATA for address in dentry.tolist()], bool)
    return distinct(dentry[named])


def _metadata(kernel: Kernel, mounts: Mounts, dentry: U64) -> tuple[Registry | None, list[OciSpec]]:
    """containerd's containers by its metadata files, and specs in their freed pages."""
    inode = kernel.pointer(dentry, "dentry", "d_inode")
    known: Registry | None = None
    carved: list[OciSpec] = []
    for address, pages in zip(dentry.tolist(), file_pages(kernel, inode, METADATA_LIMIT), strict=True):
        path = (mounts.dentries.path(address) or b"meta.db").decode("utf-8", "backslashreplace")
        root = read_bolt(pages)
        if root is not None and b"v1" in root.buckets:
            here = registry(root, path)
            if not here.whole:
                kernel.gaps.add("containerd metadata", path, "its tree has holes: containers may be missing")
            known = here if known is None else known.joined(here)
        read = by_start(known.specs if known is not None else ())
        for start, run in _runs(pages):
            specs = carve_specs(run, f"meta.db:{path}+", base=start, in_order=True, known=read)
            carved.extend(carving.value for carving in specs)
    ids = set(known.containers) if known is not None else set()
    return known, [spec for spec in carved if spec.container_id not in ids]


def _runs(pages: list[bytes | None]) -> list[tuple[int, bytes]]:
    """Contiguous stretches of a file that has holes: (offset in the file, bytes)."""
    runs: list[tuple[int, list[bytes]]] = []
    fresh = True
    for number, page in enumerate(pages):
        if page is None:
            fresh = True
        elif fresh:
            runs.append((number * 4096, [page]))
            fresh = False
        else:
            runs[-1][1].append(page)
    return [(start, b"".join(parts)) for start, parts in runs]
