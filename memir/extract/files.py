# SPDX-License-Identifier: Apache-2.0
"""Content of files from the page cache, into a folder or one tar a container, with a manifest of what is not in RAM."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memir.errors import UsageError
from memir.extract.archive import WHITEOUT, Archives
from memir.extract.output import Output
from memir.extract.place import component, relative
from memir.extract.whose import check_names, folder_of, is_of
from memir.kernel.filemap import Content, contents
from memir.kube.file_users import files_in_use
from memir.kube.inodes import KERNEL_OWN

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
    from memir.node import Node

SCHEMA = 1
MAX_APPARENT = 1 << 36
"""Bytes: a file that says it is larger ends where its last page in RAM does."""
_LONGEST_TARGET = 4096  # PATH_MAX


@dataclass(frozen=True)
class Wanted:
    """Which files: of pods (name, namespace/name, UID), containers (name or id), a process, of a path, deleted ones."""

    pod: tuple[str, ...] = ()
    container: tuple[str, ...] = ()
    pid: tuple[int, ...] = ()
    path: str | None = None
    deleted: bool = False


@dataclass(frozen=True)
class Extracted:
    """One file as the manifest has it. file: where it was put, None if it was not, and `why` says so. holes: (start,
    end) in bytes of what is not in RAM. sha256: of the whole content, None if there is a hole. target: where a symbolic
    link leads; rdev: major:minor of a device."""

    path: str | None
    node_path: str | None
    kind: str
    layer: str | None
    change: str | None
    deleted: bool
    device: str
    inode: int
    mode: int
    uid: int
    gid: int
    size: int
    mtime: str | None
    ctime: str | None
    atime: str | None
    btime: str | None
    target: str | None
    rdev: str | None
    namespace: str | None
    pod_name: str | None
    pod_uid: str | None
    container_id: str | None
    container_name: str | None
    file: str | None = None
    sha256: str | None = None
    holes: list[tuple[int, int]] = field(default_factory=list)
    why: str | None = None

    @property
    def lacking(self) -> int:
        """Bytes that are not in RAM."""
        return sum(end - start for start, end in self.holes)


def extract_files(node: Node, output: Path, wanted: Wanted | None = None, *, tar: bool = False) -> list[Extracted]:
    """Write the files that are wanted (all: None) below `output`, and manifest.json; gives what the manifest lists.

    tar: one archive a container instead of a folder, as layers of OCI images are (see memir.extract.archive). In a
    folder links, devices, pipes and sockets are only listed; nothing of the image's names leads out of it. UsageError
    if there is no such file or the folder has something in it; OutputError if it cannot be written: what is done is
    kept and listed.
    """
    kernel = node.source.kernel  # UsageError for a part of a node, which has none
    rows = chosen(node, wanted or Wanted())
    if not rows:
        check_names(node, wanted.pod if wanted else (), wanted.container if wanted else ())
        raise UsageError("no file in memory is what was asked for: see the table inodes for those that there are")
    place = Output(output)
    done: list[Extracted] = []
    listed: list[dict[str, Any]] = []
    document = {"schema": SCHEMA, "image": str(node.memory.path)}
    with place.kept(listed, len(rows), document, "files"):
        for entry in write_files(kernel, place, rows, tar=tar):
            done.append(entry)
            listed.append(asdict(entry))
    return done


def chosen(node: Node, wanted: Wanted) -> list[dict[str, Any]]:
    """Rows of the table inodes, with `name`: the path that they are put at."""
    used = _used_by(node, wanted.pid)
    rows = []
    for row in node["inodes"].to_arrow().to_pylist():
        if row["freed"] or row["layer"] == "merged" or (row["fstype"] or "").encode() in KERNEL_OWN:
            continue
        row["name"] = row["container_path"] or row["node_path"] or row["path"]
        if row["name"] is None and not row["cached"]:
            continue
        if not is_of(row, wanted.pod, wanted.container):
            continue
        if (wanted.pid and row["address"] not in used) or (wanted.deleted and not row["deleted"]):
            continue
        names = [row[column] for column in ("container_path", "node_path", "path") if row[column]]
        if wanted.path and not any(fnmatch.fnmatchcase(name, wanted.path) for name in names):
            continue
        rows.append(row)
    return rows


def _used_by(node: Node, pids: tuple[int, ...]) -> set[int]:
    """Inodes of what processes have open or mapped."""
    source = node.source
    tasks = [task for task, pid in source.pid_of.items() if pid in pids]
    if pids and not tasks:
        raise UsageError(f"there is no process {', '.join(map(str, pids))}")
    mapping = np.array([file for _, file in files_in_use(source.kernel, np.array(tasks, np.uint64))], np.uint64)
    return set(source.kernel.pointer(mapping, "address_space", "host", gap=False).tolist())


def write_files(
    kernel: Kernel, place: Output, rows: list[dict[str, Any]], *, tar: bool = False, below: str | None = None
) -> Iterator[Extracted]:
    """Write rows of chosen() and give an entry for each; OSError if the folder cannot be written on.

    below: the folder that they go into; None: one for each container.
    """
    address = np.array([row["address"] for row in rows], np.uint64)
    mapping = kernel.embedded(address, "inode", "i_data")
    size = np.array([row["size"] if row["kind"] == "regular" else 0 for row in rows], np.int64)
    rdev = kernel.try_read(address, "inode", "i_rdev")[0].tolist()
    link = [row["kind"] == "symlink" for row in rows]
    target = kernel.strings(
        np.where(link, kernel.pointer(address, "inode", "i_link", gap=False), np.uint64(0)), _LONGEST_TARGET
    )
    taken: set[str] = set()
    archives = Archives(place, kernel)
    try:
        for number, (row, content) in enumerate(zip(rows, contents(kernel, mapping, size), strict=True)):
            raw = target[number]
            known = {**row, "rdev": rdev[number], "target": raw and raw.decode("utf-8", "surrogateescape")}
            folder, name = _place(row, taken, tar=tar)
            folder = folder if below is None else below
            if not tar:
                yield _to_folder(kernel, place, f"{folder}/{name}", known, content)
                continue
            packed = archives.add(f"{folder}.tar", name, known, content)
            file = None if packed.name is None else f"{folder}.tar:{packed.name}"
            yield _entry(known, file=file, sha256=packed.sha256, holes=content.holes(), why=packed.why)
    except OSError:
        place.release()
        raise
    finally:
        archives.close()


def _place(row: dict[str, Any], taken: set[str], *, tar: bool) -> tuple[str, str]:
    """(folder or archive, path in it), never twice the same."""
    folder = folder_of(row)
    name = relative(row["name"] or f"inode-{row['inode']}")
    layer = component(row["layer"] or "other")
    if tar:  # a name that begins as a whiteout's does would be one
        parts = name.split("/")
        name = "/".join("%2E" + part[1:] if part.startswith(WHITEOUT) else part for part in parts)
        name = "." if row["name"] == "/" and layer == "upper" else name
    root = tar and row["name"] == "/" and row["kind"] == "directory"
    name = name if tar and layer == "upper" else layer if root else f"{layer}/{name}"
    if f"{folder}/{name}" in taken:
        name = f"{name}~{row['device'].replace(':', '-')}-{row['inode']}-{row['address']:x}"
    taken.add(f"{folder}/{name}")
    return folder, name


def _entry(row: dict[str, Any], **more: Any) -> Extracted:
    times = {name: row[name] and row[name].isoformat() for name in ("mtime", "ctime", "atime", "btime")}
    named = Extracted.__dataclass_fields__
    same = {name: row[name] for name in named if name in row and name not in ("path", "sha256")}
    device = f"{row['rdev'] >> 20}:{row['rdev'] & 0xFFFFF}" if row["kind"] in ("char", "block") else None
    shown = None if row["target"] is None else row["target"].encode("utf-8", "surrogateescape")
    target = None if shown is None else shown.decode("utf-8", "backslashreplace")
    return Extracted(path=row["name"], **{**same, **times, **more, "rdev": device, "target": target})


def _not_written(row: dict[str, Any]) -> str | None:
    """Why a file is only listed."""
    if row["kind"] != "regular":
        return f"a {row['kind']} is listed, not made"
    return None if row["cached"] or row["size"] == 0 else "nothing of it is in RAM"


def _to_folder(kernel: Kernel, place: Output, name: str, row: dict[str, Any], content: Content) -> Extracted:
    why = _not_written(row)
    if why is not None or (row["size"] and not len(content.index)):
        return _entry(row, holes=content.holes(), why=why or "nothing of it is in RAM")
    digest = hashlib.sha256()
    try:
        opened = place.open(name)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):  # what was a file has been a directory too
        name = f"{name.partition('/')[0]}/{row['layer']}~{row['inode']}-{row['address']:x}"
        opened = place.open(name)
    with place.writing(name, opened) as file:
        for offset, data in content.chunks(kernel):
            file.seek(offset)  # what is skipped is a hole of the file's own, and one in the manifest
            file.write(data)
            digest.update(data)
        if content.size <= MAX_APPARENT:
            file.truncate(content.size)
    cut = None if content.size <= MAX_APPARENT else "ends at its last page in RAM: its size is absurd"
    whole = digest.hexdigest() if content.complete else None
    return _entry(row, file=name, sha256=whole, holes=content.holes(), why=cut)
