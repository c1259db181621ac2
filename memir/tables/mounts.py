# SPDX-License-Identifier: Apache-2.0
"""The table `mounts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memir.checkpoint.rows import mount_rows
from memir.collected import rows as collected
from memir.kernel.mountinfo import MountInfo
from memir.kube.mountpoints import node_paths
from memir.kube.ram import RamSource
from memir.kube.volumes import Volume, volume_of_mount, volume_of_path
from memir.tables.frame import Frame
from memir.tables.table import Table, columns, frame_of

if TYPE_CHECKING:
    from memir.checkpoint.source import CheckpointSource
    from memir.collected.source import CollectedSource

COLUMNS = columns("""
    mnt_ns           uint64       its mount namespace's inum; null: in none, as the kernel's own and detached ones are
    mount_id         int32        number of the mount, as /proc/PID/mountinfo has it
    parent_id        int32        number of the mount that it is mounted on
    device           string       major:minor of the file system
    fstype           string       type of the file system, with its subtype (fuse.s3fs)
    mount_point      string       where it is mounted, from the root of its namespace
    root             string       what of its file system it shows; of a namespace's file `net:[4026532165]`
    source_path      string       path on the node of what it shows; null if the node has it nowhere
    device_name      string       what it was mounted from: a device, `tmpfs`, `overlay`; mountinfo's field "source"
    options          list<string> options of the mount: ro or rw, nosuid, nodev, noexec, noatime, relatime, ...
    super_options    list<string> options of the file system that the kernel keeps itself: ro or rw, sync, dirsync, ...
    propagation      list<string> shared:N, master:N, propagate_from:N, unbindable; empty for a private mount
    hidden           bool         no process of its namespace sees it: covered, above its root, or nobody is in there
    volume_kind      string       secret, configMap, projected, downwardAPI, emptyDir, csi, hostPath, subPath, ...
    volume_name      string       name of the volume in its pod's spec, where the path tells it
    volume_pod_uid   string       pod whose volume it is, by the kubelet's directory
    seen_by          list<string> lists that have the mount: namespace (its own), superblock (its file system's)
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Every mount of every mount namespace, by namespace and number of the mount."""
    info = source.mount_table
    order = sorted(range(len(info)), key=lambda row: (int(info.inum[row]), int(info.mount_id[row])))
    on_node = _on_node(source, info)
    volumes = _volumes(source, info, on_node)
    numbers = {name: getattr(info, name).tolist() for name in ("mount_id", "parent_id")}
    inum = [int(entry) or None for entry in info.inum]
    made = {
        "mnt_ns": inum,
        **{name: [entry if entry >= 0 else None for entry in values] for name, values in numbers.items()},
        "source_path": on_node,
        "hidden": (~info.visible).tolist(),
        "volume_kind": [entry and entry.kind for entry in volumes],
        "volume_name": [entry and entry.name for entry in volumes],
        "volume_pod_uid": [entry and entry.pod_uid for entry in volumes],
        "seen_by": [[name for name, mask in info.seen.items() if mask[row]] for row in range(len(info))],
        "source": ["struct mount"] * len(info),
    }
    names = [column.name for column in COLUMNS]
    data = {name: made[name] if name in made else getattr(info, name) for name in names}
    return Frame(data, inum).take(order)


def _on_node(source: RamSource, info: MountInfo) -> list[str | None]:
    """Where on the node lies what each mount shows."""
    host = info.mount[(info.space == source.host_mnt_ns) & info.visible]
    top = node_paths(source.mounts, host)
    paths: list[str | None] = []
    for superblock, inside, kind in zip(info.superblock.tolist(), info.root, info.fstype, strict=True):
        above = top.get(superblock)
        known = above is not None and inside is not None and kind != "nsfs"
        paths.append((above or b"").decode("utf-8", "backslashreplace") + (inside or "") if known else None)
    return [path if path is None or path == "/" else path.rstrip("/") for path in paths]


def _volumes(source: RamSource, info: MountInfo, on_node: list[str | None]) -> list[Volume | None]:
    """Of a container's mounts what volume they are; of the node's own those that the kubelet has mounted."""
    owners = source.owners.by_mount_namespace
    volumes: list[Volume | None] = []
    for row, space in enumerate(info.space.tolist()):
        if space == source.host_mnt_ns or space not in owners:
            volumes.append(volume_of_path(on_node[row] or "") if info.root[row] == "/" else None)
        else:
            volumes.append(volume_of_mount(on_node[row], info.fstype[row], info.root[row], info.mount_point[row]))
    return volumes


def read_checkpoint(source: CheckpointSource) -> Frame:
    """The same of a checkpoint's container."""
    return frame_of(COLUMNS, source.gaps, mount_rows(source))


def read_collected(source: CollectedSource) -> Frame:
    """The same of a collected pod."""
    return frame_of(COLUMNS, source.gaps, *collected.mount_rows(source))


TABLE = Table(
    "mounts", "Mounts of every mount namespace, also those that /proc hides.", COLUMNS, "namespace",
    {"ram": read, "checkpoint": read_checkpoint, "pod": read_collected}, volatility="linux.podmounts",
)  # fmt: skip
