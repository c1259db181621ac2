# SPDX-License-Identifier: Apache-2.0
"""Content of files from the page cache, into a folder or one tar a container, with a manifest of what is not in RAM."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memir.errors import OutputError, UsageError
from memir.extract.place import component, relative
from memir.kernel.filemap import Content, contents
from memir.kube.file_users import files_in_use
from memir.kube.inodes import KERNEL_OWN

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
    from memir.node import Node

SCHEMA = 1
MAX_APPARENT = 1 << 36
"""Bytes: a file that says it is larger ends where its last page in RAM does."""
MAX_FILLED = 256 << 20
"""Bytes of holes that a tar is filled with for one file (tar has none); a file with more is left out, and said."""
MANIFEST = "manifest.json"


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
    end) in bytes of what is not in RAM. sha256: of the whole content, None if there is a hole."""

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

    tar: one archive a container instead of a folder; whiteouts as `.wh.NAME`, as layers of images have them.
    Links, devices, pipes and sockets are only listed; nothing of the image's names leads out of the folder. UsageError
    if there is no such file or the folder has something in it, OutputError if it cannot be written.
    """
    rows = _chosen(node, wanted or Wanted())
    if not rows:
        raise UsageError("no file in memory is what was asked for: see the table inodes for those that there are")
    try:
        output.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(output.iterdir()):
            raise UsageError(f"{output}: is not empty; give a folder that is new or empty")
        done = list(_write(node.source.kernel, output, rows, tar=tar))
        document = {"schema": SCHEMA, "image": str(node.memory.path), "files": [asdict(entry) for entry in done]}
        (output / MANIFEST).write_text(json.dumps(document, indent=1) + "\n")
    except OSError as error:
        why = error.strerror or error
        raise OutputError(f"{output}: cannot be written: {why}; it is not whole") from error
    return done


def _chosen(node: Node, wanted: Wanted) -> list[dict[str, Any]]:
    """Rows of the table inodes, with `name`: the path that they are put at."""
    used = _used_by(node, wanted.pid)
    rows = []
    for row in node["inodes"].to_arrow().to_pylist():
        if row["freed"] or row["layer"] == "merged" or (row["fstype"] or "").encode() in KERNEL_OWN:
            continue
        row["name"] = row["container_path"] or row["node_path"] or row["path"]
        if row["name"] is None and not row["cached"]:
            continue
        pod = {row["pod_name"], row["pod_uid"], f"{row['namespace']}/{row['pod_name']}"}
        if wanted.pod and not pod & set(wanted.pod):
            continue
        if wanted.container and not _is_container(row, wanted.container):
            continue
        if (wanted.pid and row["address"] not in used) or (wanted.deleted and not row["deleted"]):
            continue
        names = [row[column] for column in ("container_path", "node_path", "path") if row[column]]
        if wanted.path and not any(fnmatch.fnmatchcase(name, wanted.path) for name in names):
            continue
        rows.append(row)
    return rows


def _is_container(row: dict[str, Any], names: tuple[str, ...]) -> bool:
    ident = row["container_id"] or ""
    return any(name == row["container_name"] or (len(name) >= 6 and ident.startswith(name)) for name in names)


def _used_by(node: Node, pids: tuple[int, ...]) -> set[int]:
    """Inodes of what processes have open or mapped."""
    source = node.source
    tasks = [task for task, pid in source.pid_of.items() if pid in pids]
    if pids and not tasks:
        raise UsageError(f"there is no process {', '.join(map(str, pids))}")
    mapping = np.array([file for _, file in files_in_use(source.kernel, np.array(tasks, np.uint64))], np.uint64)
    return set(source.kernel.pointer(mapping, "address_space", "host", gap=False).tolist())


def _write(kernel: Kernel, output: Path, rows: list[dict[str, Any]], *, tar: bool) -> Iterator[Extracted]:
    mapping = kernel.embedded(np.array([row["address"] for row in rows], np.uint64), "inode", "i_data")
    size = np.array([row["size"] if row["kind"] == "regular" else 0 for row in rows], np.int64)
    taken: set[str] = set()
    archives: dict[str, tarfile.TarFile] = {}
    try:
        for row, content in zip(rows, contents(kernel, mapping, size), strict=True):
            folder, name = _place(row, taken, tar=tar)
            if not tar:
                yield _to_folder(kernel, output, f"{folder}/{name}", row, content)
                continue
            if folder not in archives:
                archives[folder] = tarfile.open(output / f"{folder}.tar", "x", format=tarfile.PAX_FORMAT)  # noqa: SIM115  (closed below)
            yield _to_tar(kernel, archives[folder], f"{folder}.tar", name, row, content)
    finally:
        for archive in archives.values():
            archive.close()


def _place(row: dict[str, Any], taken: set[str], *, tar: bool) -> tuple[str, str]:
    """(folder or archive, path in it), never twice the same."""
    pod = f"{row['namespace']}_{row['pod_name']}" if row["pod_name"] else row["pod_uid"]
    container = row["container_name"] or (row["container_id"] or "")[:12]
    folder = component("_".join(part for part in (pod, container) if part) or "node")
    name = relative(row["name"] or f"inode-{row['inode']}")
    layer = component(row["layer"] or "other")
    name = name if tar and layer == "upper" else f"{layer}/{name}"
    if f"{folder}/{name}" in taken:
        name = f"{name}~{row['device'].replace(':', '-')}-{row['inode']}-{row['address']:x}"
    taken.add(f"{folder}/{name}")
    return folder, name


def _entry(row: dict[str, Any], **more: Any) -> Extracted:
    times = {name: row[name] and row[name].isoformat() for name in ("mtime", "ctime", "atime", "btime")}
    named = Extracted.__dataclass_fields__
    same = {name: row[name] for name in named if name in row and name not in ("path", "sha256")}
    return Extracted(path=row["name"], **{**same, **times, **more})


def _not_written(row: dict[str, Any]) -> str | None:
    """Why a file is only listed."""
    if row["kind"] != "regular":
        return f"a {row['kind']} is listed, not made"
    return None if row["cached"] or row["size"] == 0 else "nothing of it is in RAM"


def _to_folder(kernel: Kernel, output: Path, name: str, row: dict[str, Any], content: Content) -> Extracted:
    why = _not_written(row)
    if why is not None or (row["size"] and not len(content.index)):
        return _entry(row, holes=content.holes(), why=why or "nothing of it is in RAM")
    path = output / name
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = path.open("xb")
    except (FileExistsError, NotADirectoryError, IsADirectoryError):  # what was a file has been a directory too
        name = f"{name.partition('/')[0]}/{row['layer']}~{row['inode']}-{row['address']:x}"
        path = output / name
        opened = path.open("xb")
    digest = hashlib.sha256()
    with opened as file:
        path.chmod(0o600)
        for offset, data in content.chunks(kernel):
            file.seek(offset)  # what is skipped is a hole of the file's own, and one in the manifest
            file.write(data)
            digest.update(data)
        if content.size <= MAX_APPARENT:
            file.truncate(content.size)
    cut = None if content.size <= MAX_APPARENT else "ends at its last page in RAM: its size is absurd"
    whole = digest.hexdigest() if content.complete else None
    return _entry(row, file=name, sha256=whole, holes=content.holes(), why=cut)


def _to_tar(
    kernel: Kernel, archive: tarfile.TarFile, file: str, name: str, row: dict[str, Any], content: Content
) -> Extracted:
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid = row["mode"], row["uid"], row["gid"]
    info.mtime = row["mtime"].timestamp() if row["mtime"] else 0
    holes = content.holes()
    if row["change"] == "whiteout":
        above, _, last = name.rpartition("/")
        info.name = f"{above}/.wh.{last}".lstrip("/")
        archive.addfile(info, io.BytesIO())
        return _entry(row, file=f"{file}:{info.name}")
    if row["kind"] == "directory":
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
        return _entry(row, file=f"{file}:{name}")
    why = _not_written(row) or ("nothing of it is in RAM" if row["size"] and not len(content.index) else None)
    if why is None and sum(end - start for start, end in holes) > MAX_FILLED:
        why = f"more than {MAX_FILLED >> 20} MiB of it are not in RAM: extract it without --tar"
    if why is not None:
        return _entry(row, holes=holes, why=why)
    info.size = content.size
    if holes:
        info.pax_headers = {"MEMIR.not_in_ram": ",".join(f"{start}-{end}" for start, end in holes)}
    stream = _Filled(kernel, content)
    archive.addfile(info, stream)
    return _entry(row, file=f"{file}:{name}", sha256=None if holes else stream.digest.hexdigest(), holes=holes)


class _Filled(io.RawIOBase):
    """A file's content from end to end, as tar needs it: zeros where RAM has nothing."""

    def __init__(self, kernel: Kernel, content: Content) -> None:
        self._pieces = _pieces(kernel, content)
        self._piece = io.BytesIO()
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """So many bytes; fewer at the end alone."""
        parts: list[bytes] = []
        while size != 0:
            data = self._piece.read(size)
            piece = next(self._pieces, None) if not data else b""
            if piece is None:
                break
            self._piece = io.BytesIO(piece) if piece else self._piece
            parts.append(data)
            size -= len(data) if size > 0 else 0
        self.digest.update(b"".join(parts))
        return b"".join(parts)


def _pieces(kernel: Kernel, content: Content) -> Iterator[bytes]:
    place = 0
    for offset, data in content.chunks(kernel):
        yield from _zeros(offset - place)
        yield data
        place = offset + len(data)
    yield from _zeros(content.size - place)


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield bytes(min(count, 1 << 20))
        count -= 1 << 20
