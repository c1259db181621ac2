# SPDX-License-Identifier: Apache-2.0
"""Going on with a run whose controller is gone, while the node still sends: what its evidence folder says of it.

The manifest is continued, not begun anew: `resumed` says who went on, and what an earlier end left is kept and named.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from memir.acquire.sinks.base import SinkMeta
from memir.acquire.tools.avml import Avml
from memir.acquire.tools.base import Tool, ToolFile
from memir.acquire.tools.lime import Lime
from memir.errors import StorageError, UsageError
from memir.evidence.custody import MANIFEST, SIGNATURE, Manifest, read_chain, require
from memir.evidence.folder import RECEIPT
from memir.evidence.plan import Check, Format


@dataclass(frozen=True, slots=True)
class PreviousRun:
    """A run that had come to its capture.

    directory: its own on the node; grace: its watchdog's, in seconds. transport: its kind. upload_id, part_size: of
    its upload to `where`. tool: the record of its tool.
    """

    folder: Path
    run_id: str
    transport: str
    directory: str
    grace: int
    meta: SinkMeta
    where: str
    upload_id: str
    part_size: int
    tool: Mapping[str, Any]

    @property
    def place(self) -> str:
        """The S3 address of the run's own prefix."""
        return self.where.rpartition("/")[0]

    def tool_of(self, machine: str) -> Tool:
        """What runs on the node: its name, hash and version, for the record and for what its exit codes mean."""
        kept = self.tool
        files = [ToolFile(Path(one["name"]), one["name"], one["sha256"], one["size"]) for one in kept["files"]]
        version = str(kept["version"])
        if kept["tool"] == "lime":
            return Lime(files[0], {"version": version}, signed=False, machine=machine)
        return Avml(files[0], machine, self.meta.format, version)


def read_previous(folder: Path) -> PreviousRun:
    """What the manifest of a run tells. Raises UsageError if there is nothing to go on with, CustodyError if it is
    broken."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UsageError(f"--resume {folder}: that is no evidence folder, it has no {MANIFEST}")
    data = path.read_bytes()
    found: dict[str, Mapping[str, Any]] = {}
    for record in require(read_chain(data[: data.rfind(b"\n") + 1])):
        found[str(record["event"])] = record
    if found.get("verdict", {}).get("status") == "complete":
        raise UsageError(f"--resume {folder}: that run is complete")
    if not {"begin", "node", "tool", "capture"} <= found.keys():
        raise UsageError(f"--resume {folder}: that run never came to its capture: run again into a new folder")
    begin, node, capture, tool = (found[name] for name in ("begin", "node", "capture", "tool"))
    where, upload_id = str(capture["where"]), str(capture.get("upload_id") or "")
    if not where.startswith("s3://") or not upload_id:
        raise UsageError(
            f"--resume {folder}: its bytes came through the controller and what was on its way is lost with it: only a "
            "node that sends to S3 by itself can be taken over; run again into a new folder"
        )
    meta = SinkMeta(
        str(begin["run"]), str(begin["node"]["hostname"]), where.rpartition("/")[2], cast("Format", tool["format"]),
        int(capture["ram_bytes"]), str(capture["utc"]),
    )  # fmt: skip
    return PreviousRun(
        folder, meta.run_id, str(begin["transport"]), str(node["directory"]), int(node["grace"]), meta, where,
        upload_id, int(capture["part_size"]), tool,
    )  # fmt: skip


def lock_check(previous: PreviousRun, running: str) -> Check:
    """Whether the node's lock is this run's. running: who holds it, as preflight found out."""
    if running.partition(" ")[0] == previous.run_id:
        return Check("lock", "ok", f"run {previous.run_id} goes on")
    said = f"run {previous.run_id} is no longer on the node" + (f", but {running}" if running else "")
    return Check("lock", "fail", said, "its watchdog or a restart of the node ended it: run again into a new folder")


def reopen_manifest(previous: PreviousRun, said: Mapping[str, object]) -> Manifest:
    """Open the manifest again and note who goes on; what an earlier end wrote gets another name, and is recorded.

    Raises StorageError, CustodyError.
    """
    manifest, _, torn = Manifest.reopen(previous.folder)
    kept = [_rename(previous.folder / name) for name in (RECEIPT, SIGNATURE) if (previous.folder / name).is_file()]
    manifest.add("resumed", torn=torn, kept=[path.name for path in kept], **said)
    for path in kept:
        data = path.read_bytes()
        manifest.add("file", name=path.name, size=len(data), sha256=hashlib.sha256(data).hexdigest(), stored={})
    return manifest


def _rename(path: Path) -> Path:
    stem, _, end = path.name.partition(".")
    numbers = (path.with_name(f"{stem}.{number}.{end}") for number in range(1, 1000))
    free = next(one for one in numbers if not one.exists())
    try:
        return path.rename(free)
    except OSError as error:
        raise StorageError(f"cannot keep {path}: {error}") from error
