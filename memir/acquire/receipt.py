# SPDX-License-Identifier: Apache-2.0
"""What goes into the manifest, and the receipt that sums it up."""

from __future__ import annotations

import getpass
import hashlib
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.acquire.capture import Captured
from memir.acquire.collect import Taken
from memir.acquire.options import Options
from memir.acquire.preflight import Preflight
from memir.acquire.sinks.base import Recorder
from memir.acquire.timestamp import stamp
from memir.acquire.tools.base import Tool
from memir.acquire.transports.base import Transport
from memir.aws.errors import cause_code
from memir.documents import encode
from memir.errors import ConnectError, Interrupted, RemoteError, StorageError
from memir.evidence.coverage import Coverage
from memir.evidence.custody import Manifest, load_private, now, raw_public, sign, signed_message
from memir.evidence.folder import CONTEXT, MANIFEST, RECEIPT, SIGNATURE, TIMESTAMP
from memir.evidence.judge import Verdict
from memir.evidence.plan import Trace
from memir.evidence.ranges import Range, total
from memir.evidence.receipt import Receipt, ReceiptNode
from memir.evidence.records import (
    SCHEMA,
    Begin,
    CoverageRecord,
    Image,
    NodeReceipt,
    NodeRecord,
    Status,
    Stored,
    ToolFileRecord,
    ToolRecord,
    VerdictRecord,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_LISTED = 1000
"""Ranges of one kind that are written down; what the node announces is hostile, and its sums are kept."""


def signing_key(path: Path | None) -> Ed25519PrivateKey | None:
    """The key, read before anything is done on the node."""
    return load_private(path) if path else None


def signer_of(key: Ed25519PrivateKey | None) -> str:
    """The public key in hex, "" for none."""
    return raw_public(key.public_key()) if key is not None else ""


def who() -> str:
    """The operator's account on the controller."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{platform.node()}"


def version() -> str:
    """memir's version."""
    from memir import __version__

    return __version__


def begin(run_id: str, options: Options, transport: Transport, preflight: Preflight, signer: str) -> Begin:
    """The first record: who, with what, against which node, the plan, and whose key will sign the end."""
    facts = preflight.state.facts
    node = NodeRecord(
        facts.hostname, facts.kernel, facts.machine, facts.boot_id,
        iomem=facts.iomem.decode("utf-8", "backslashreplace"), ram_bytes=facts.ram_bytes, mem_total=facts.mem_total,
        clock_offset=facts.clock_offset, lockdown=facts.lockdown,
    )  # fmt: skip
    identity = dict(transport.identity())
    memory = identity.get("instance_memory", "")
    return Begin(
        run=run_id, memir=version(), who=options.who or who(), transport=transport.kind, identity=identity, node=node,
        case=options.case, command=tuple(options.command), kcore=preflight.state.kcore, checks=preflight.checks,
        plan=preflight.plan, schema=SCHEMA, signer=signer, instance_type=identity.get("instance_type", ""),
        instance_memory=int(memory) if memory.isdigit() else 0,
    )  # fmt: skip


def tool_record(tool: Tool, command: str = "") -> ToolRecord:
    """Name, version and hashes of a tool."""
    files = tuple(ToolFileRecord(file.name, file.sha256, file.size) for file in tool.files)
    return ToolRecord(tool.name, tool.version, tool.format, files, command)


def receipt_fields(receipt: NodeReceipt | None) -> dict[str, object]:
    """The node's last word as a record."""
    return {"receipt": encode(receipt) if receipt else None}


@dataclass
class CustodyLog:
    """Writes files' hashes into the manifest and hands copies to the sink."""

    manifest: Manifest
    folder: Path
    sink: Recorder
    problems: list[str] = field(default_factory=list)

    def context(self, taken: Sequence[Taken]) -> None:
        """Record the context files that were written."""
        for file in taken:
            self._record(f"{CONTEXT}/{file.name}", file.size, file.sha256)

    def files(self, paths: Sequence[Path]) -> None:
        """Record files that are in the folder already."""
        for path in paths:
            data = path.read_bytes()
            self._record(str(path.relative_to(self.folder)), len(data), hashlib.sha256(data).hexdigest())

    def copy(self, name: str) -> None:
        """Hand a file of the folder to the sink, without a record."""
        try:
            self.sink.record(name, (self.folder / name).read_bytes())
        except RemoteError as error:
            self.problems.append(f"{name} could not be copied to {self.sink.where}: {error}")

    def _record(self, name: str, size: int, sha256: str) -> None:
        stored: Mapping[str, object] = {}
        try:
            stored = self.sink.record(name, (self.folder / name).read_bytes())
        except RemoteError as error:
            if cause_code(error) == "PreconditionFailed":
                # another run's evidence is there: stop before the capture
                raise
            self.problems.append(f"{name} could not be copied to {self.sink.where}: {error}")
        self.manifest.add("file", name=name, size=size, sha256=sha256, stored=dict(stored))


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that the receipt is made of."""

    run_id: str
    preflight: Preflight
    captured: Captured
    verdict: Verdict
    left: Sequence[str]
    stopped: BaseException | None
    options: Options


def finish(log: CustodyLog, key: Ed25519PrivateKey | None, outcome: Outcome) -> dict[str, Any]:
    """Write the end down (`close_manifest`); the receipt as a document."""
    return close_manifest(log, key, summary(log, outcome), outcome.options.timestamp_url)


def close_manifest(
    log: CustodyLog, key: Ed25519PrivateKey | None, receipt: Receipt, timestamp_url: str = ""
) -> dict[str, Any]:
    """Write the image's record, the verdict, receipt.json, the end of the manifest, its signature and time stamp."""
    manifest = log.manifest
    manifest.add("image", **encode(receipt.image))
    manifest.add("verdict", **encode(VerdictRecord(receipt.status, receipt.missing, receipt.coverage)))
    return seal_manifest(log, key, receipt.write(), receipt.status, receipt.document(), timestamp_url)


def seal_manifest(
    log: CustodyLog, key: Ed25519PrivateKey | None, data: bytes, status: Status, document: Mapping[str, Any],
    timestamp_url: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Write receipt.json (`data`), the end of the manifest, its signature and time stamp; the receipt's document."""
    manifest = log.manifest
    _write(log.folder / RECEIPT, data)
    manifest.add("end", receipt=hashlib.sha256(data).hexdigest(), status=status)
    document = dict(document)
    if key is not None:
        _write(log.folder / SIGNATURE, sign(key, manifest.head, manifest.count))
        log.copy(SIGNATURE)
    if timestamp_url:
        try:
            stamp(log.folder, signed_message(manifest.head, manifest.count), timestamp_url)
            log.copy(TIMESTAMP)
        except ConnectError as error:
            # the end is written: this can only be said
            document["notes"] = [*document["notes"], f"the end has no time stamp: {error}"]
    log.copy(RECEIPT)
    log.copy(MANIFEST)
    return document


def summary(log: CustodyLog, outcome: Outcome) -> Receipt:
    """The receipt."""
    verdict, preflight, captured = outcome.verdict, outcome.preflight, outcome.captured
    interrupted = isinstance(outcome.stopped, KeyboardInterrupt | Interrupted)
    status: Status = "complete" if not verdict.missing else ("interrupted" if interrupted else "partial")
    facts = preflight.state.facts
    resume = (
        captured.stored.resume
        if captured.stored and captured.stored.resume
        else "run the same command again, with a new folder"
    )
    if outcome.left and not captured.receipt and captured.stored and captured.stored.receipt.get("UploadId"):
        # nobody could reach the node to end the capture: it may still be sending
        again = f"--resume {shlex.quote(str(log.folder))}"
        resume = f"the node may still be sending: the same command with {again} goes on; else {resume}"
    return Receipt(
        memir=version(), run=outcome.run_id, status=status, missing=tuple(verdict.missing),
        resume="" if status == "complete" else resume, notes=(*verdict.notes, *log.problems), finished=now(),
        node=ReceiptNode(facts.hostname, facts.kernel, facts.machine, facts.boot_id),
        clock_offset=facts.clock_offset, tool=tool_record(preflight.tool),
        image=image_record(captured.stored, preflight.tool.format), seconds=round(captured.seconds, 3),
        store_seconds=round(captured.store_seconds, 3), banner=verdict.banner,
        coverage=coverage_record(verdict.coverage), left_on_node=tuple(outcome.left),
        traces=tuple(Trace(trace.where, trace.what, trace.stays) for trace in preflight.plan.traces if trace.stays),
        schema=SCHEMA, case=outcome.options.case,
    )  # fmt: skip


def coverage_record(coverage: Coverage | None) -> CoverageRecord | None:
    """What is kept of the coverage: at most MAX_LISTED ranges of each kind."""
    if coverage is None:
        return None

    def first(ranges: Sequence[Range]) -> tuple[Range, ...]:
        return tuple(ranges[:MAX_LISTED])

    return CoverageRecord(
        total(coverage.ram), coverage.complete, first(coverage.missing), first(coverage.zero),
        first(coverage.unreadable), first(coverage.extra),
    )  # fmt: skip


def image_record(stored: Stored | None, form: str) -> Image:
    """The image's place, size, hashes and parts; a path is given by its name in the evidence folder."""
    if stored is None:
        return Image("", 0, "", form, (), complete=False)
    where = stored.where if "://" in stored.where else Path(stored.where).name
    return Image(where, stored.size, stored.sha256, form, stored.parts, stored.complete, dict(stored.receipt))


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}") from error
