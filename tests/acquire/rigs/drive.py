# SPDX-License-Identifier: Apache-2.0
"""Runs one direct upload end to end on this machine: setup, uploader, grants, collect; what run.py does."""

from __future__ import annotations

import hashlib
import random
import shlex
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from memir.acquire.facts import NodeRun
from memir.acquire.scripts import capture_script, parse_receipt
from memir.acquire.sinks.base import SinkMeta
from memir.acquire.sinks.s3.direct import S3DirectSink
from memir.acquire.transports.base import Result, Transport
from memir.evidence.progress import Progress
from memir.evidence.records import NodeReceipt, Part, Stored
from tests.acquire.rigs.wait import BOUND

MIB = 1 << 20


def data_of(size: int, seed: int = 1) -> bytes:
    """The same random bytes for the same seed."""
    return random.Random(seed).randbytes(size)


def meta(name: str = "ram.lime", ram: int = 64 * MIB) -> SinkMeta:
    """What a sink is told."""
    return SinkMeta(uuid.uuid4().hex[:12], "node-1", name, "lime", ram, "2026-01-01T00:00:00Z")


@dataclass
class Outcome:
    """What came of a run."""

    result: Result | None
    receipt: NodeReceipt | None
    parts: tuple[Part, ...]
    stored: Stored
    progress: list[Progress] = field(default_factory=list)


def drive(
    sink: S3DirectSink, transport: Transport, folder: Path, source: bytes, *, tool: str = "",
    name: str = "ram.lime", ram: int = 0,
) -> Outcome:  # fmt: skip
    """Send `source` (or what the shell command `tool` writes to its FIFO) through a direct sink.

    ram: bytes of RAM that the node announces, if not those of `source`.
    """
    told = meta(name, ram or max(len(source), MIB))
    run = NodeRun(told.run_id, str(folder))
    (folder / "alive").touch()
    (folder / "groups").touch()
    if not tool:
        (folder / "source").write_bytes(source)
        tool = f"cat {shlex.quote(str(folder / 'source'))} > {shlex.quote(run.fifo)}"
    sink.begin(told)
    sink.prepare(transport, run)
    stop = threading.Event()
    progress: list[Progress] = []
    signer = threading.Thread(target=sink.sign_urls, args=(transport, run, stop, progress.append), daemon=True)
    signer.start()
    result = None
    try:
        result = transport.run(capture_script(run, tool, sink.consumer(run)), timeout=BOUND)
    finally:
        stop.set()
    signer.join(BOUND)
    assert not signer.is_alive(), "sign_urls does not end"
    receipt = parse_receipt(result.err) if result else None
    parts = sink.collect(transport, run, receipt) if receipt else ()
    if receipt is None or receipt.tool != 0:
        return Outcome(result, receipt, parts, sink.partial_parts(parts, "the tool failed"), progress)
    return Outcome(result, receipt, parts, sink.commit_parts(parts, receipt), progress)


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()
