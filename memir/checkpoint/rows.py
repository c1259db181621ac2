# SPDX-License-Identifier: Apache-2.0
"""Rows of tables from a checkpoint, by the columns' names; a column that a row lacks is not known there.

What the kernel calls things by is not in a checkpoint: CRIU numbers namespaces and files itself, so that namespace
numbers, addresses and start times are null. Process ids are those of the container.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from memir.checkpoint.files import KINDS, OpenFile, socket_rows
from memir.checkpoint.pages import PAGE
from memir.kernel import resource
from memir.kube.oci import OciMount
from memir.kube.volumes import volume_of_mount

if TYPE_CHECKING:
    from memir.checkpoint.source import CheckpointSource
    from memir.checkpoint.tree import Process

Row = dict[str, Any]
_NONE = (1 << 64) - 1
_STATES = {2: "X", 3: "T", 6: "Z"}
"""TASK_* of CRIU's include/crtools.h; what ran is frozen while it is dumped, so that R and S cannot be told apart."""
_VSYSCALL, _VDSO, _VVAR, _MEMFD = 1 << 2, 1 << 3, 1 << 12, 1 << 14
"""VMA_AREA_* of CRIU's include/image.h."""
_OF_FILE = 1 << 6 | 1 << 7
"""VMA_FILE_PRIVATE and VMA_FILE_SHARED."""
_MOUNT_FLAGS = {1: "ro", 2: "nosuid", 4: "nodev", 8: "noexec", 1024: "noatime", 2048: "nodiratime", 1 << 21: "relatime"}
_FSTYPES = {
    1: "proc", 2: "sysfs", 3: "devtmpfs", 4: "binfmt_misc", 5: "tmpfs", 6: "devpts", 8: "pstore", 9: "securityfs",
    10: "fusectl", 11: "debugfs", 12: "cgroup", 13: "aufs", 14: "mqueue", 15: "fuse", 17: "overlay", 18: "autofs",
    19: "tracefs", 23: "cgroup2",
}  # fmt: skip
_MOST_REGIONS = 1 << 20


def process_rows(source: CheckpointSource) -> list[Row]:
    """Of the table `processes`."""
    tree, spec = source.tree, source.container.spec
    out = []
    # a seccomp_mode that is left out is disabled (criu/seccomp.c)
    for process in tree.processes:
        task, thread, creds = process.task, process.core.get("thread_core", {}), process.creds
        exe = tree.files.get(process.mm.get("exe_file_id", -1))
        out.append({
            "pid": process.pid, "ppid": process.ppid, "tgid": process.pid, "comm": task.get("comm"),
            "args": source.secrets.args(process.args)[0], "environ": source.secrets.environ(process.environ)[0],
            "exe": exe.path if exe is not None else None, "exe_deleted": exe.deleted if exe is not None else None,
            "start_code": process.mm.get("start_code"), "uid": creds.get("uid"),
            "cap_effective": _capabilities(creds),
            "seccomp": thread.get("seccomp_mode", task.get("old_seccomp_mode", 0 if thread else None)),
            "label": creds.get("lsm_profile"), "limits": _limits(task), "pid_in_container": process.pid,
            "pids": [process.pid],
            "threads": len(process.threads), "kernel_thread": False, "state": _STATES.get(task.get("task_state", 0)),
            "in_container": True, "cgroup_path": spec.cgroups_path, "seen_by": ["pstree"],
            "witnesses": ["archive=" + (source.container.container_id or "container")], "disagreements": [],
            "source": f"core-{process.pid}.img",
        })  # fmt: skip
    return out


def thread_rows(source: CheckpointSource) -> list[Row]:
    """Of the table `threads`."""
    return [
        {"tid": tid, "pid": process.pid,
         "comm": process.task.get("comm") if tid == process.pid else process.names.get(tid),
         "state": _STATES.get(process.task.get("task_state", 0)), "seen_by": ["pstree"], "source": f"core-{tid}.img"}
        for process in source.tree.processes for tid in process.threads
    ]  # fmt: skip


def regions(source: CheckpointSource, process: Process) -> Iterator[Row]:
    """Regions of one process, ascending, those that make no sense left out and counted."""
    files = source.tree.files
    end = 0
    for vma in process.mm.get("vmas", [])[:_MOST_REGIONS]:
        start, status, prot = vma.get("start", 0), vma.get("status", 0), vma.get("prot", 0)
        if start < end or vma.get("end", 0) <= start or start % PAGE or vma["end"] % PAGE:
            source.gaps.add("vma", f"mm-{process.pid}.img {start:#x}", "regions overlap or make no sense")
            continue
        end = vma["end"]
        file = files.get(vma.get("shmid", 0)) if status & (_OF_FILE | _MEMFD) else None
        backed = bool(status & (_OF_FILE | _MEMFD))
        shared = bool(vma.get("flags", 0) & 1)
        flags = [name for bit, name in ((1, "rd"), (2, "wr"), (4, "ex")) if prot & bit] + (["sh"] if shared else [])
        path = file.path if file is not None else None if backed else _named(process, start, end, status)
        yield {
            "pid": process.pid, "start": start, "end": end,
            "permissions": "".join(name if prot & bit else "-" for bit, name in ((1, "r"), (2, "w"), (4, "x")))
            + ("s" if shared else "p"),
            "flags": flags, "path": path, "offset": vma.get("pgoff", 0) if backed else 0, "anonymous": not backed,
            "deleted": (file.deleted if file is not None else None) if backed else False,
            "memfd": bool(status & _MEMFD), "rss": None, "source": f"mm-{process.pid}.img",
        }  # fmt: skip


def vma_rows(source: CheckpointSource) -> list[Row]:
    """Of the table `vmas`. How much of a region was in RAM is not known: only what was dumped is."""
    return [row for process in source.tree.processes for row in regions(source, process)]


def file_rows(source: CheckpointSource) -> list[Row]:
    """Of the table `files`."""
    files = source.tree.files
    peers = {row["inode"]: _peer(row) for row in socket_rows(files)}
    out = []
    for process in source.tree.processes:
        uses: list[tuple[str, int | None, int | None]] = []
        for use, ident in (
            ("exe", process.mm.get("exe_file_id")),
            ("cwd", process.fs.get("cwd_id")),
            ("root", process.fs.get("root_id")),
        ):
            if ident is not None:
                uses.append((use, None, ident))
        uses += [("fd", entry.get("fd"), entry.get("id")) for entry in _by_fd(process)]
        mapped = [vma.get("shmid") for vma in process.mm.get("vmas", []) if vma.get("status", 0) & _OF_FILE]
        uses += [("mapped", None, ident) for ident in dict.fromkeys(mapped)]
        for use, fd, ident in uses:
            file = files.get(ident) if ident is not None else None
            if file is None:
                source.gaps.add("open file", f"pid {process.pid} {use} {ident}", "not in files.img")
                continue
            kind = "directory" if use in ("cwd", "root") else KINDS.get(file.kind)
            out.append({
                "pid": process.pid, "fd": fd, "use": use, "path": file.path, "kind": _kind(file, kind),
                "inode": file.inode, "offset": file.offset if use != "cwd" else None, "flags": file.flags,
                "deleted": file.deleted, "peer": peers.get(file.inode) if file.inode is not None else None,
                "source": "files.img",
            })  # fmt: skip
    return out


def sockets_of(source: CheckpointSource) -> list[Row]:
    """Of the table `sockets`."""
    holders: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for process in source.tree.processes:
        for entry in process.fds:
            holders[entry.get("id", -1)].append((process.pid, entry.get("fd", -1)))
    out = []
    for row in socket_rows(source.tree.files):
        held = sorted(holders.get(row.pop("ident"), []))
        pid, fd = held[0] if held else (None, None)
        accepted = True if row["state"] == "ESTABLISHED" else None
        out.append({**row, "accepted": accepted, "pid": pid, "fd": fd, "pids": sorted({each for each, _ in held}),
                    "source": row["seen_in"] + " in files.img"})  # fmt: skip
    return out


def mount_rows(source: CheckpointSource) -> list[Row]:
    """Of the table `mounts`: where a bind mount comes from is told by spec.dump alone."""
    bound = {mount.destination: mount for mount in source.container.spec.mounts or ()}
    out = []
    for row in source.tree.mounts:
        fstype = row.get("fsname") or _FSTYPES.get(row.get("fstype", 0))
        point = row.get("mountpoint")
        point = None if point is None else "/" + point.lstrip("./")
        spec = bound.get(point or "")
        path = spec.source if spec is not None and _is_bind(spec) else None
        volume = volume_of_mount(path, fstype, row.get("root"), point)
        flags, device = row.get("flags", 0), row.get("root_dev")
        out.append({
            "mount_id": row.get("mnt_id"), "parent_id": row.get("parent_mnt_id"),
            "device": None if device is None else f"{device >> 20}:{device & 0xFFFFF}", "fstype": fstype,
            "mount_point": point, "root": row.get("root"), "source_path": path, "device_name": row.get("source"),
            "options": (["rw"] if not flags & 1 else []) + [name for bit, name in _MOUNT_FLAGS.items() if flags & bit],
            "super_options": [text for text in row.get("options", "").split(",") if text] or None,
            "propagation": [f"{kind}:{row[key]}" for kind, key in (("shared", "shared_id"), ("master", "master_id"))
                            if row.get(key)],
            "volume_kind": volume and volume.kind, "volume_name": volume and volume.name,
            "volume_pod_uid": volume and volume.pod_uid, "seen_by": ["mountpoints"], "source": "mountpoints.img",
        })  # fmt: skip
    return out


def container_rows(source: CheckpointSource) -> list[Row]:
    """Of the table `containers`: the one."""
    known, spec = source.container, source.container.spec
    if known.container_id is None:
        source.gaps.add("container", "config.dump", "no document of the archive gives its id")
    return [{
        "container_id": known.container_id, "kind": spec.kind or "container", "image": known.image,
        "runtime": spec.engine or known.runtime, "state": source.state, "cgroup_path": spec.cgroups_path,
        "privileged": spec.privileged, "host_pid": spec.host_pid, "host_network": spec.host_network,
        "host_users": spec.host_users, "rootfs": spec.rootfs,
        "args": source.secrets.args(spec.args)[0], "env": source.secrets.environ(spec.env)[0],
        "sandbox_id": spec.sandbox_id, "restarts": known.restarts,
        "started_at": None if known.started is None else known.started // 1000,
        "processes": len(source.tree.processes), "seen_in": "checkpoint", "doubts": list(known.doubts),
        "source": "spec.dump; config.dump; status.dump",
    }]  # fmt: skip


def pod_rows(source: CheckpointSource) -> list[Row]:
    """Of the table `pods`: the container's, of which nothing but its names is in the archive."""
    spec = source.container.spec
    if spec.pod_uid is None:
        source.gaps.add("pod", "spec.dump", "no annotation and no cgroup gives its UID")
        return []
    return [{
        "pod_uid": spec.pod_uid, "qos": spec.cgroup.qos if spec.cgroup is not None else None,
        "host_network": spec.host_network, "processes": None, "containers": None, "seen_in": "checkpoint",
        "doubts": [], "source": "spec.dump",
    }]  # fmt: skip


def _by_fd(process: Process) -> list[Row]:
    return sorted(process.fds, key=lambda entry: entry.get("fd", 0))


def _peer(row: Row) -> str | None:
    if row["family"] == "unix":
        remote = row.get("remote")
        return str(remote) if remote else None
    remote, port = row.get("remote"), row.get("remote_port")
    if remote is None:
        return None
    return f"[{remote}]:{port}" if ":" in remote else f"{remote}:{port}"


def _kind(file: OpenFile, usual: str | None) -> str | None:
    """A file's kind by its mode where CRIU kept that (since 3.12)."""
    mode = file.entry.get("mode")
    if not isinstance(mode, int) or file.kind != 1:
        return usual
    kinds = {0o10: "fifo", 0o20: "char", 0o40: "directory", 0o60: "block", 0o100: "regular", 0o140: "socket"}
    return kinds.get(mode >> 12 << 3, usual)


def _named(process: Process, start: int, end: int, status: int) -> str | None:
    """What maps shows of a region without a file."""
    if status & _VDSO:
        return "[vdso]"
    if status & _VVAR:
        return "[vvar]"
    if status & _VSYSCALL:
        return "[vsyscall]"
    mm = process.mm
    if start < mm.get("brk", 0) and end > mm.get("start_brk", _NONE):
        return "[heap]"
    return "[stack]" if start <= mm.get("start_stack", 0) <= end and mm.get("start_stack") else None


def _capabilities(creds: Row) -> int | None:
    words = creds.get("cap_eff")
    if not words:
        return None
    return int(sum((word & 0xFFFF_FFFF) << 32 * place for place, word in enumerate(words[:2])))


def _limits(task: Row) -> list[str] | None:
    rows = task.get("rlimits", {}).get("rlimits", [])
    if not rows:
        return None
    return [
        f"{name} {_limit(row.get('cur', 0))} {_limit(row.get('max', 0))}"
        for name, row in zip(resource.NAMES, rows, strict=False)
    ]


def _limit(value: int) -> str:
    return "unlimited" if value == _NONE else str(value)


def _is_bind(mount: OciMount) -> bool:
    return mount.type == "bind" or "bind" in mount.options or "rbind" in mount.options
