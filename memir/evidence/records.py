# SPDX-License-Identifier: Apache-2.0
"""What an acquisition records: the manifest's events and their parts, as typed records.

SCHEMA is the version that is written; files of memir 0.1.0, which name none, are version 1 and are read: every field
that came later has a default. docs/schemas has the JSON schemas, made from these records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from memir.documents import decode, schema
from memir.errors import CustodyError
from memir.evidence.collected import Collection, CollectionBegin
from memir.evidence.plan import Check, Plan

SCHEMA = 2
MAX_PARTS = 10_000
"""Parts of an image: what S3 holds at most; a file has one for each 64 MiB."""

HASH = "^[0-9a-f]{64}$"
Scalar = str | int | float | bool | None
Status = Literal["complete", "partial", "interrupted", "unknown"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """One stored part.

    Number from 1, offset and size in bytes, SHA-256 (hex) by who produced it, store's ETag.
    """

    number: int
    offset: int
    size: int
    sha256: str
    etag: str = ""


@dataclass(frozen=True, slots=True)
class NodeReceipt:
    """The node's last word: exit codes of the tool and of what sent its stream.

    sha256 and size: of the whole stream as the node saw it; "" and None if not computed. log: the end of the tool's
    own words. extra: what the sender added.
    """

    tool: int | None
    consumer: int | None
    sha256: str = ""
    size: int | None = None
    log: str = ""
    extra: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stored:
    """What the sink holds in the end.

    where: path or s3:// address of the image. complete: the sink's own opinion (all parts there, hashes equal).
    missing: what is not there, in words; resume: how to go on. receipt: the store's own statements (version id,
    checksum, Object Lock mode and retention date, upload id), written to the manifest as they are.
    """

    where: str
    size: int
    sha256: str
    parts: tuple[Part, ...]
    complete: bool
    missing: tuple[str, ...] = ()
    resume: str = ""
    receipt: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Image:
    """Where the image is: a name in the folder, or s3://...; "" if nothing was stored. size in bytes."""

    where: str
    size: int
    sha256: str
    format: str
    parts: tuple[Part, ...]
    complete: bool
    stored: Mapping[str, Scalar] = field(default_factory=dict)

    def as_stored(self) -> Stored:
        """The same as the sink said it."""
        return Stored(self.where, self.size, self.sha256, self.parts, self.complete, receipt=self.stored)


@dataclass(frozen=True, slots=True)
class ToolFileRecord:
    """One file that went to the node."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class ToolRecord:
    """What read the RAM. command: what ran on the node."""

    tool: str
    version: str
    format: str
    files: tuple[ToolFileRecord, ...]
    command: str = ""


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """The node as preflight found it. iomem: the System RAM lines of /proc/iomem. ram_bytes: their sum.

    mem_total: MemTotal of /proc/meminfo in bytes, 0 if not known.
    """

    hostname: str
    kernel: str
    machine: str
    boot_id: str
    iomem: str = ""
    ram_bytes: int = 0
    mem_total: int = 0
    clock_offset: float = 0.0
    lockdown: str = ""


NO_PLAN = Plan((), ())


@dataclass(frozen=True, slots=True)
class Begin:
    """The first record: who, with what, against which node, the plan. A resumed run has one more, `resumed`.

    signer: the Ed25519 public key (hex) that will sign the end, "" for none. instance_memory: bytes of the instance
    type's memory, 0 if not known.
    """

    run: str
    memir: str
    who: str
    transport: str
    identity: Mapping[str, str]
    node: NodeRecord
    case: str = ""
    command: tuple[str, ...] = ()
    kcore: tuple[tuple[int, int], ...] = ()
    checks: tuple[Check, ...] = ()
    plan: Plan = NO_PLAN
    schema: int = 1
    signer: str = ""
    instance_type: str = ""
    instance_memory: int = 0


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the run lived on the node, and its watchdog's grace in seconds."""

    directory: str
    grace: int
    mounted: bool = False
    stale: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A small file of the folder, and what a store said when it took its copy."""

    name: str
    size: int
    sha256: str
    stored: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CaptureRecord:
    """The capture, or a large file of a collection, begins. upload_id, part_size: of its multipart upload."""

    where: str
    ram_bytes: int
    utc: str = ""
    upload_id: str = ""
    part_size: int = 0


@dataclass(frozen=True, slots=True)
class Captured:
    """The capture ended on the node."""

    receipt: NodeReceipt | None


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What could not be removed from the node, in words."""

    left: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CoverageRecord:
    """What the image covers of System RAM; ranges are [start, end)."""

    ram_bytes: int
    complete: bool
    missing: tuple[tuple[int, int], ...] = ()
    zero: tuple[tuple[int, int], ...] = ()
    unreadable: tuple[tuple[int, int], ...] = ()
    extra: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """The run's own judgement; `memir verify` judges again."""

    status: Status
    missing: tuple[str, ...]
    coverage: CoverageRecord | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The last record. receipt: SHA-256 of receipt.json. utc: when it was written, by the controller's clock."""

    receipt: str
    status: Status
    utc: str = ""


@dataclass(frozen=True, slots=True)
class ProblemRecord:
    """Something beside the image that could not be had."""

    where: str
    why: str


EVENTS: Mapping[str, type] = {
    "begin": Begin, "resumed": Begin, "node": Directory, "tool": ToolRecord, "file": File, "capture": CaptureRecord,
    "captured": Captured, "cleaned": Cleaned, "image": Image, "pod": CollectionBegin,
    "collection": Collection, "verdict": VerdictRecord,
    "end": End,
}  # fmt: skip
"""Every event that `memir verify` reads; `problem` is the other."""


def manifest_schema() -> dict[str, Any]:
    """The JSON schema of one line of the manifest: what every record has, and what each event adds."""
    definitions: dict[str, Any] = {}
    lines = []
    for event, kind in [*EVENTS.items(), ("problem", ProblemRecord)]:
        part = schema(kind, event)
        definitions |= part.pop("$defs")
        part.pop("$schema")
        part["properties"] = {"event": {"const": event}, **part["properties"]}
        lines.append(part)
    common = {
        "seq": {"type": "integer"}, "utc": {"type": "string"}, "event": {"enum": [*EVENTS, "problem"]},
        "prev": {"type": "string", "pattern": HASH}, "hash": {"type": "string", "pattern": HASH},
    }  # fmt: skip
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "memir manifest.jsonl, one line",
        "type": "object", "properties": common, "required": list(common), "oneOf": lines,
        "$defs": dict(sorted(definitions.items())),
    }  # fmt: skip


def last(records: Sequence[Mapping[str, Any]], event: str, kind: type[T]) -> T | None:
    """The last record of an event, None if there is none. CustodyError names the field that is wrong."""
    for number in range(len(records) - 1, -1, -1):
        if records[number].get("event") == event:
            return decode(kind, records[number], f"manifest.jsonl line {number + 1} ({event})", CustodyError)
    return None


def files_of(records: Sequence[Mapping[str, Any]]) -> list[File]:
    """Every `file` record, in order. CustodyError names the field that is wrong."""
    return [
        decode(File, record, f"manifest.jsonl line {number} (file)", CustodyError)
        for number, record in enumerate(records, 1)
        if record.get("event") == "file"
    ]
