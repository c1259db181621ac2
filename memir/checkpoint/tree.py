# SPDX-License-Identifier: Apache-2.0
"""Processes of a checkpoint: CRIU's images of each put together. Process ids are those of the container."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from memir.checkpoint.archive import FOLDER, Archive
from memir.checkpoint.files import OLD, OpenFile, old_rows, open_files
from memir.checkpoint.images import VERSIONS, entries
from memir.checkpoint.pages import PageMap, Pages
from memir.errors import ImageFormatError

MAX_STRINGS = 1 << 20
"""Bytes of arguments or environment that are read: the kernel gives a process 2 MiB for both at most by default."""
PIDS = 1 << 22
"""PID_MAX_LIMIT of a 64-bit kernel."""


@dataclass
class Process:
    """A process. core, mm, fs, ids: messages of CRIU's; an empty one could not be read. fds: messages of fdinfo."""

    pid: int
    ppid: int
    threads: list[int]
    core: dict[str, Any] = field(default_factory=dict)
    mm: dict[str, Any] = field(default_factory=dict)
    fs: dict[str, Any] = field(default_factory=dict)
    ids: dict[str, Any] = field(default_factory=dict)
    fds: list[dict[str, Any]] = field(default_factory=list)
    memory: PageMap | None = None
    args: list[str] | None = None
    environ: list[str] | None = None
    names: dict[int, str | None] = field(default_factory=dict)
    """Names of its threads by id."""

    @property
    def task(self) -> dict[str, Any]:
        """task_core_entry."""
        return dict(self.core.get("tc", {}))

    @property
    def creds(self) -> dict[str, Any]:
        """creds_entry of its main thread."""
        return dict(self.core.get("thread_core", {}).get("creds", {}))


class Tree:
    """Every process, in the order of pids, and what they share."""

    def __init__(self, archive: Archive) -> None:
        """ImageFormatError if the images are of a version that there is not, or the tree cannot be read."""
        self._archive = archive
        self.pages = Pages(archive)
        inventory = self._rows("inventory", "inventory.img")
        self.version = inventory[0].get("img_version") if inventory else None
        if self.version is not None and self.version not in VERSIONS:
            raise ImageFormatError(
                f"{archive.path}: CRIU's images are of version {self.version}, and memir reads "
                f"{' and '.join(map(str, VERSIONS))}: give it to a newer memir, or decode it with CRIU's crit"
            )
        self.files = self._files()
        self.mounts = [row for name in archive.images("mountpoints-") for row in self._rows("mountpoints", name)]
        rows = self._rows("pstree", FOLDER + "pstree.img", needed=True)
        known: dict[int, Process] = {}
        for row in rows:
            pid = row.get("pid", 0)
            if not 0 < pid <= PIDS or pid in known:
                archive.gaps.add("process", f"pstree.img pid {pid}", "its id makes no sense, or stands there twice")
                continue
            threads = [tid for tid in dict.fromkeys(row.get("threads", [])) if 0 < tid <= PIDS]
            known[pid] = Process(pid, row.get("ppid", 0), threads or [pid])
        for process in known.values():
            self._fill(process)
        self.processes = [known[pid] for pid in sorted(known)]
        if not self.processes:
            raise ImageFormatError(f"{archive.path}: no process in checkpoint/pstree.img: take the checkpoint again")

    def _fill(self, process: Process) -> None:
        pid = process.pid
        process.core = self._first("core", pid)
        process.ids = self._first("ids", pid) or process.core.get("ids", {})
        if process.task.get("task_state") in (2, 6):  # TASK_DEAD, TASK_ZOMBIE: it has no memory and no files
            return
        process.mm, process.fs = self._first("mm", pid), self._first("fs", pid)
        process.fds = self._rows("fdinfo", f"{FOLDER}fdinfo-{process.ids.get('files_id', pid)}.img")
        process.memory = self.pages.map_of(pid)
        process.args, process.environ = self._strings(process, "arg"), self._strings(process, "env")
        for tid in process.threads:
            if tid != pid:
                core = self._first("core", tid)
                process.names[tid] = core.get("thread_core", {}).get("comm") or core.get("tc", {}).get("comm")

    def _strings(self, process: Process, what: str) -> list[str] | None:
        """Strings that end in NUL from the process's own memory; None, with a gap, if they are not all there."""
        start, end = process.mm.get(f"{what}_start", 0), process.mm.get(f"{what}_end", 0)
        size = end - start
        if process.memory is None or not process.mm:
            return None
        kind = "args" if what == "arg" else "environ"
        if not 0 <= size <= MAX_STRINGS:
            self._archive.gaps.add(kind, f"pid {process.pid}", "its bounds make no sense")
            return None
        data = self.pages.read(process.memory, start, size)
        if data is None:
            self._archive.gaps.add(kind, f"pid {process.pid}", "page not in the checkpoint")
            return None
        parts = data.split(b"\0")
        return [part.decode("utf-8", "backslashreplace") for part in (parts[:-1] if parts[-1] == b"" else parts)]

    def _files(self) -> dict[int, OpenFile]:
        rows = self._rows("files", FOLDER + "files.img") if self._has("files.img") else []
        for image in OLD:
            if self._has(f"{image}.img"):
                rows += old_rows(self._rows(image, f"{FOLDER}{image}.img"), image)
        removed = self._rows("remap-fpath", FOLDER + "remap-fpath.img") if self._has("remap-fpath.img") else []
        return open_files(rows, {row["orig_id"] for row in removed if "orig_id" in row})

    def _has(self, image: str) -> bool:
        return FOLDER + image in self._archive.files

    def _first(self, kind: str, ident: int) -> dict[str, Any]:
        rows = self._rows(kind, f"{FOLDER}{kind}-{ident}.img")
        return rows[0] if rows else {}

    def _rows(self, kind: str, name: str, *, needed: bool = False) -> list[dict[str, Any]]:
        """The messages of an image; what cannot be read is a gap, or an error if it is `needed`."""
        name = name if name.startswith(FOLDER) else FOLDER + name
        try:
            rows, why = entries(self._archive.read(name), kind, name)
        except KeyError:
            rows, why = [], "not in the archive"
        except ImageFormatError as error:
            if needed:
                raise ImageFormatError(f"{self._archive.path}: {error}; take the checkpoint again") from error
            rows, why = [], str(error).partition(": ")[2]
        if why is not None:
            self._archive.gaps.add(f"CRIU image {kind}", name, why)
        return rows
