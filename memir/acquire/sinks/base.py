# SPDX-License-Identifier: Apache-2.0
"""What a sink is, and what it says: StreamSink through the controller, DirectSink from the node itself (base.py)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from memir.acquire.facts import NodeRun
from memir.acquire.transports.base import Transport
from memir.evidence.plan import Check, Format, Step, Trace
from memir.evidence.progress import Report
from memir.evidence.records import NodeReceipt, Part, Stored


@dataclass(frozen=True, slots=True)
class SinkMeta:
    """What a sink is told at the start. ram_bytes: System RAM by /proc/iomem, for choosing the part size."""

    run_id: str
    node: str
    name: str
    format: Format
    ram_bytes: int
    created: str


class Recorder(Protocol):
    """What keeps copies of small files."""

    where: str

    def record(self, name: str, data: bytes) -> Mapping[str, object]:
        """Store a small file beside the image (manifest, receipt, context).

        A store's receipt, {} if it has none.
        """
        ...


class SinkBase(Recorder, Protocol):
    """What both kinds of sink share."""

    kind: str

    def check(self) -> Sequence[Check]:
        """NodeState.

        Writable, free space, region, Object Lock, IAM actions by name. Leaves nothing behind.
        """
        ...

    def steps(self) -> Sequence[Step]:
        """What storing does: for the plan."""
        ...

    def traces(self) -> Sequence[Trace]:
        """What storing leaves (CloudTrail data events, an unfinished multipart upload when interrupted)."""
        ...

    def begin(self, meta: SinkMeta) -> None:
        """Open the destination; refuses to overwrite. Raises StorageError or AccessError."""
        ...


@runtime_checkable
class StreamSink(SinkBase, Protocol):
    """Stores bytes that pass through the controller. Memory is bounded by two parts."""

    def write(self, data: bytes | memoryview) -> None:
        """Append. Blocks (back pressure). Raises StorageError; what was stored before stays."""
        ...

    def commit(self) -> Stored:
        """Everything arrived.

        Flush, re-check every part against what is stored, publish under the final name.
        """
        ...

    def partial(self, why: str) -> Stored:
        """The stream is not whole.

        Keep what there is, marked as partial. Must not raise for what is already lost.
        """
        ...


@runtime_checkable
class DirectSink(SinkBase, Protocol):
    """Stores bytes that go from the node straight to the store."""

    bound: tuple[int, str]
    """How many bytes the node may send at most, and why; set before `sign_urls`. (0, "") is no bound."""

    def check_node(self, transport: Transport) -> Sequence[Check]:
        """NodeState on the node: whether it can send by itself and reaches the store. Changes nothing."""
        ...

    def begun(self) -> Mapping[str, object]:
        """What another controller needs to go on with this upload: upload_id, part_size (bytes)."""
        ...

    def prepare(self, transport: Transport, run: NodeRun) -> None:
        """Put the uploader on the node (tmpfs), verified by hash."""
        ...

    def adopt(self, transport: Transport, run: NodeRun) -> None:
        """Take over the uploader that another controller put on the node and started. Raises NodeError."""
        ...

    def consumer(self, run: NodeRun) -> str:
        """The shell command on the node whose standard input is the stream. No secret in it.

        It may add facts to the node's last line by writing a flat JSON object to `run.path("consumer.json")`;
        they arrive as `NodeReceipt.extra`.
        """
        ...

    def sign_urls(self, transport: Transport, run: NodeRun, stop: threading.Event, report: Report) -> None:
        """Runs in its own thread while the capture runs.

        Hands out URLs in batches, reports progress, till `stop`.
        """
        ...

    def collect(self, transport: Transport, run: NodeRun, receipt: NodeReceipt) -> tuple[Part, ...]:
        """The parts as the node hashed them, after the capture has ended and before the node is cleaned."""
        ...

    def send(self, transport: Transport, run: NodeRun, path: str, name: str) -> bytes:
        """Take one file from the node through the store, and give its bytes (at most 64 MiB).

        Used for the context (kallsyms, BTF) when `Transport.streams` is False: the node uploads `path` as
        `name` beside the image, the controller reads it back and compares SHA-256 with the node's.
        """
        ...

    def commit_parts(self, parts: Sequence[Part], receipt: NodeReceipt) -> Stored:
        """Complete the upload, then compare the store's own checksums with the node's."""
        ...

    def partial_parts(self, parts: Sequence[Part], why: str) -> Stored:
        """Keep the unfinished upload (never abort it), marked as partial, and say how to go on."""
        ...


Sink = StreamSink | DirectSink
