# SPDX-License-Identifier: Apache-2.0
"""What goes into the manifest, and the receipt that sums it up."""

from __future__ import annotations

import getpass
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memir.acquire.capture import Captured
from memir.acquire.collect import Taken
from memir.acquire.sinks.base import Sink
from memir.acquire.tools.base import Tool
from memir.acquire.transports.base import Transport
from memir.errors import Interrupted, RemoteError, StorageError
from memir.evidence.custody import MANIFEST, SIGNATURE, Manifest, load_private, now, sign
from memir.evidence.folder import CONTEXT, RECEIPT
from memir.evidence.judge import Verdict
from memir.evidence.ranges import total
from memir.evidence.records import NodeReceipt, Stored

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from memir.acquire.options import Options
    from memir.acquire.preflight import Preflight


def signing_key(path: Path | None) -> Ed25519PrivateKey | None:
    """The key, read before anything is done on the node."""
    return load_private(path) if path else None


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


def begin(run_id: str, options: Options, transport: Transport, preflight: Preflight) -> dict[str, object]:
    """The first record: who, with what, against which node, and the plan."""
    facts = asdict(preflight.state.facts)
    facts["commands"] = sorted(facts["commands"])
    facts["iomem"] = facts["iomem"].decode("utf-8", "backslashreplace")
    return {
        "run": run_id,
        "memir": version(),
        "who": options.who or who(),
        "case": options.case,
        "command": list(options.command),
        "transport": transport.kind,
        "identity": dict(transport.identity()),
        "node": facts,
        "kcore": [list(one) for one in preflight.state.kcore],
        "checks": [asdict(check) for check in preflight.checks],
        "plan": asdict(preflight.plan),
    }


def tool_fields(tool: Tool) -> dict[str, object]:
    """Name, version and hashes of a tool."""
    files = [{"name": file.name, "sha256": file.sha256, "size": file.size} for file in tool.files]
    return {"tool": tool.name, "version": tool.version, "format": tool.format, "files": files}


def receipt_fields(receipt: NodeReceipt | None) -> dict[str, object]:
    """The node's last word as a record."""
    return {"receipt": asdict(receipt) if receipt else None}


@dataclass
class CustodyLog:
    """Writes files' hashes into the manifest and hands copies to the sink."""

    manifest: Manifest
    folder: Path
    sink: Sink
    problems: list[str] = field(default_factory=list)

    def context(self, taken: Sequence[Taken]) -> None:
        """Record the context files that were written."""
        for one in taken:
            self._one(f"{CONTEXT}/{one.name}", one.size, one.sha256)

    def files(self, paths: Sequence[Path]) -> None:
        """Record files that are in the folder already."""
        for path in paths:
            data = path.read_bytes()
            self._one(str(path.relative_to(self.folder)), len(data), hashlib.sha256(data).hexdigest())

    def copy(self, name: str) -> None:
        """Hand a file of the folder to the sink, without a record."""
        try:
            self.sink.record(name, (self.folder / name).read_bytes())
        except RemoteError as error:
            self.problems.append(f"{name} could not be copied to {self.sink.where}: {error}")

    def _one(self, name: str, size: int, sha256: str) -> None:
        stored: Mapping[str, object] = {}
        try:
            stored = self.sink.record(name, (self.folder / name).read_bytes())
        except RemoteError as error:
            self.problems.append(f"{name} could not be copied to {self.sink.where}: {error}")
        self.manifest.add("file", name=name, size=size, sha256=sha256, stored=dict(stored))


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that the receipt is made of."""

    run_id: str
    preflight: Preflight
    got: Captured
    verdict: Verdict
    left: Sequence[str]
    stopped: BaseException | None
    options: Options


def finish(log: CustodyLog, key: Ed25519PrivateKey | None, outcome: Outcome) -> dict[str, Any]:
    """Write the image's record, receipt.json, the end of the manifest, and the signature.

    Give the receipt.
    """
    document = summary(log, outcome)
    manifest = log.manifest
    manifest.add("image", **document["image"])
    manifest.add("verdict", status=document["status"], missing=document["missing"], coverage=document["coverage"])
    data = json.dumps(document, indent=2, ensure_ascii=True).encode() + b"\n"
    _write(log.folder / RECEIPT, data)
    manifest.add("end", receipt=hashlib.sha256(data).hexdigest(), status=document["status"])
    if key is not None:
        _write(log.folder / SIGNATURE, sign(key, manifest.head, manifest.count))
        log.copy(SIGNATURE)
    log.copy(RECEIPT)
    log.copy(MANIFEST)
    return document


def summary(log: CustodyLog, outcome: Outcome) -> dict[str, Any]:
    """The receipt as a document."""
    verdict, preflight, got = outcome.verdict, outcome.preflight, outcome.got
    interrupted = isinstance(outcome.stopped, KeyboardInterrupt | Interrupted)
    status = "complete" if not verdict.missing else ("interrupted" if interrupted else "partial")
    facts = preflight.state.facts
    found = verdict.coverage
    coverage = None
    if found is not None:
        coverage = {
            "ram_bytes": total(found.ram),
            "complete": found.complete,
            **{
                name: [list(one) for one in getattr(found, name)] for name in ("missing", "zero", "unreadable", "extra")
            },
        }
    resume = got.stored.resume if got.stored and got.stored.resume else "run the same command again, with a new folder"
    if outcome.left and not got.receipt and got.stored and got.stored.receipt.get("UploadId"):
        # nobody could reach the node to end the capture: it may still be sending
        resume = f"the node may still be sending: the same command with --resume {log.folder} goes on; else {resume}"
    return {
        "memir": version(),
        "run": outcome.run_id,
        "status": status,
        "missing": list(verdict.missing),
        "resume": "" if status == "complete" else resume,
        "notes": [*verdict.notes, *log.problems],
        "finished": now(),
        "node": {
            "hostname": facts.hostname,
            "kernel": facts.kernel,
            "machine": facts.machine,
            "boot_id": facts.boot_id,
        },
        "clock_offset": facts.clock_offset,
        "tool": tool_fields(preflight.tool),
        "image": image_fields(got.stored, preflight.tool.format),
        "seconds": round(got.seconds, 3),
        "store_seconds": round(got.store_seconds, 3),
        "banner": verdict.banner,
        "coverage": coverage,
        "left_on_node": list(outcome.left),
        "traces": [asdict(trace) for trace in preflight.plan.traces if trace.stays],
    }


def image_fields(stored: Stored | None, form: str) -> dict[str, Any]:
    """The image's place, size, hashes and parts; a path is given by its name in the evidence folder."""
    if stored is None:
        return {
            "where": "",
            "size": 0,
            "sha256": "",
            "format": form,
            "parts": [],
            "complete": False,
            "stored": {},
        }
    where = stored.where if "://" in stored.where else Path(stored.where).name
    return {
        "where": where,
        "size": stored.size,
        "sha256": stored.sha256,
        "format": form,
        "parts": [asdict(part) for part in stored.parts],
        "complete": stored.complete,
        "stored": dict(stored.receipt),
    }


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}") from error
