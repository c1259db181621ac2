# SPDX-License-Identifier: Apache-2.0
"""Going on with a run whose controller is gone, while the node still sends: what its evidence folder says of it.

The manifest is continued, not begun anew: `resumed` says who went on, and what an earlier end left is kept and named.
"""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path

from memir.acquire.sinks.base import SinkMeta
from memir.acquire.tools.avml import Avml
from memir.acquire.tools.base import Tool, ToolFile
from memir.acquire.tools.lime import Lime
from memir.documents import encode
from memir.errors import CustodyError, StorageError, UsageError
from memir.evidence.custody import Manifest, read_chain, require
from memir.evidence.folder import MANIFEST, RECEIPT, SIGNATURE, TIMESTAMP, is_evidence, read_manifest
from memir.evidence.plan import Check, Format
from memir.evidence.records import Begin, CaptureRecord, Directory, ToolRecord, VerdictRecord, last


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
    tool: ToolRecord
    signer: str = ""

    @property
    def place(self) -> str:
        """The S3 address of the run's own prefix."""
        return self.where.rpartition("/")[0]

    def tool_of(self, machine: str) -> Tool:
        """What runs on the node: its name, hash and version, for the record and for what its exit codes mean."""
        files = [ToolFile(Path(file.name), file.name, file.sha256, file.size) for file in self.tool.files]
        if not files:
            raise CustodyError(f"{self.folder}: the manifest's tool has no file")
        if self.tool.tool == "lime":
            return Lime(files[0], {"version": self.tool.version}, signed=False, machine=machine)
        return Avml(files[0], machine, self.meta.format, self.tool.version)


def read_previous(folder: Path) -> PreviousRun:
    """What the manifest of a run tells. Raises UsageError if there is nothing to go on with, CustodyError if it is
    broken."""
    if not is_evidence(folder):
        raise UsageError(f"--resume {folder}: that is no evidence folder, it has no {MANIFEST}")
    data = read_manifest(folder)
    records = require(read_chain(data[: data.rfind(b"\n") + 1]))
    verdict = last(records, "verdict", VerdictRecord)
    if verdict is not None and verdict.status == "complete":
        raise UsageError(f"--resume {folder}: that run is complete")
    begin, node = last(records, "begin", Begin), last(records, "node", Directory)
    capture, tool = last(records, "capture", CaptureRecord), last(records, "tool", ToolRecord)
    if begin is None or node is None or capture is None or tool is None:
        raise UsageError(f"--resume {folder}: that run never came to its capture: run again into a new folder")
    if not capture.where.startswith("s3://") or not capture.upload_id:
        raise UsageError(
            f"--resume {folder}: its bytes came through the controller and what was on its way is lost with it: only "
            "a node that sends to S3 by itself can be taken over; run again into a new folder, and close this one with "
            f"`memir acquire close {shlex.quote(str(folder))}`"
        )
    form: Format = "lime" if tool.format == "lime" else "avml"
    meta = SinkMeta(
        begin.run, begin.node.hostname, capture.where.rpartition("/")[2], form, capture.ram_bytes, capture.utc
    )
    return PreviousRun(
        folder, meta.run_id, begin.transport, node.directory, node.grace, meta, capture.where, capture.upload_id,
        capture.part_size, tool, begin.signer,
    )  # fmt: skip


def same_signer(previous: PreviousRun, signer: str) -> None:
    """Raises UsageError when another key would sign the end than the one that the run began with."""
    if previous.signer and signer != previous.signer:
        given = f"--sign-key is {signer}" if signer else "no --sign-key was given"
        raise UsageError(
            f"--resume {previous.folder}: the run began with the key {previous.signer}, {given}: give the same key"
        )


def lock_check(previous: PreviousRun, running: str) -> Check:
    """Whether the node's lock is this run's. running: who holds it, as preflight found out."""
    if running.partition(" ")[0] == previous.run_id:
        return Check("lock", "ok", f"run {previous.run_id} goes on")
    what = f"run {previous.run_id} is no longer on the node" + (f", but {running}" if running else "")
    return Check("lock", "fail", what, "its watchdog or a restart of the node ended it: run again into a new folder")


def reopen_manifest(previous: PreviousRun, begin: Begin) -> Manifest:
    """Open the manifest again and note who goes on; what an earlier end wrote gets another name, and is recorded.

    Raises StorageError, CustodyError.
    """
    manifest, _, torn = Manifest.reopen(previous.folder)
    ends = [previous.folder / name for name in (RECEIPT, SIGNATURE, TIMESTAMP)]
    kept = [_rename(path) for path in ends if path.is_file()]
    manifest.add("resumed", torn=torn, kept=[path.name for path in kept], **encode(begin))
    for path in kept:
        data = path.read_bytes()
        manifest.add("file", name=path.name, size=len(data), sha256=hashlib.sha256(data).hexdigest(), stored={})
    return manifest


def _rename(path: Path) -> Path:
    stem, _, end = path.name.partition(".")
    numbers = (path.with_name(f"{stem}.{number}.{end}") for number in range(1, 1000))
    free = next(candidate for candidate in numbers if not candidate.exists())
    try:
        return path.rename(free)
    except OSError as error:
        raise StorageError(f"cannot keep {path}: {error}") from error
