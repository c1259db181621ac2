# SPDX-License-Identifier: Apache-2.0
"""The capture itself: the tool's stream into the sink, through the controller or straight from the node."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from memir.acquire.attach import run_to_end, wait_for_end
from memir.acquire.facts import NodeRun
from memir.acquire.pump import Pump
from memir.acquire.scripts import RELAY, RELAY_HASHED, abort_script, capture_script, parse_receipt, relay_python
from memir.acquire.sinks.base import DirectSink, Sink, SinkMeta, StreamSink
from memir.acquire.transports.base import Result, Transport
from memir.errors import ConnectError, ImageFormatError, Interrupted, MemirError, NodeError, RemoteError
from memir.evidence.coverage import most_records
from memir.evidence.progress import Progress, Report
from memir.evidence.ranges import Range
from memir.evidence.records import NodeReceipt, Part, Stored
from memir.evidence.walker import RecordWalker

CHUNK = 1 << 20  # a pipe's largest buffer: a read seldom gives more
DAY = 86_400.0
SLACK = 1.02
"""Record headers, and what packs badly, make a stream a little larger than the RAM."""
SPARE = 4 << 20
"""Bytes for the headers of a node with next to no RAM, as tests have."""


class Limits(Protocol):
    """The options that a capture looks at."""

    @property
    def nice(self) -> int: ...  # noqa: D102
    @property
    def limit_rate(self) -> int: ...  # noqa: D102
    @property
    def max_size(self) -> int: ...  # noqa: D102
    @property
    def node_hash(self) -> bool: ...  # noqa: D102


@dataclass
class Captured:
    """What a capture gave so far; filled in place, so that an interruption loses nothing.

    walker: the records seen by the controller; None where the bytes went straight from the node.
    """

    begun: bool = False
    receipt: NodeReceipt | None = None
    stored: Stored | None = None
    walker: RecordWalker | None = None
    format_problem: str = ""
    parts: Sequence[Part] = ()
    seconds: float = 0.0
    store_seconds: float = 0.0
    size: int = 0
    problems: list[str] = field(default_factory=list)

    def give_up(self, sink: Sink, why: str) -> Stored | None:
        """Keep what the sink has, as partial."""
        try:
            if isinstance(sink, StreamSink):
                return sink.partial(why)
            return sink.partial_parts(self.parts, why)
        except RemoteError as error:
            self.problems.append(f"what arrived could not be kept in order: {error}")
            return None


@dataclass
class Capture:
    """One capture: `command` (the tool's) on the node, its stream into `sink`; fills `got`.

    python: whether the node has python3, which passes the stream on at less cost than cat, or tee and sha256sum.
    ram: the node's System RAM, which bounds records. instance_memory: of the instance type, 0 if not known.
    going: the capture was begun by another controller and goes on: attach to it.
    """

    transport: Transport
    run: NodeRun
    command: str
    sink: Sink
    meta: SinkMeta
    limits: Limits
    report: Report
    captured: Captured
    python: bool = False
    going: bool = False
    ram: Sequence[Range] = ()
    instance_memory: int = 0

    def go(self) -> None:
        """Raises RemoteError when the stream did not end as it should; `got` then has what is known."""
        begin = time.monotonic()
        try:
            if isinstance(self.sink, StreamSink) and self.transport.streams:
                self.relay(self.sink)
            elif isinstance(self.sink, DirectSink):
                self.direct(self.sink)
            else:
                kind = self.transport.kind
                raise NodeError(f"the {kind} transport cannot send to {self.sink.where}: use --to s3://...")
        finally:
            spent = time.monotonic() - begin
            # the stream's own time, if it came to its end; what follows is syncing and reading back
            self.captured.seconds = self.captured.seconds or spent
            self.captured.store_seconds = spent - self.captured.seconds

    def bound(self) -> tuple[int, str]:
        """(bytes that the stream may have at most, why): what the node announces is not to be believed alone."""
        room = getattr(self.sink, "room", None)
        bounds = [
            (int(self.meta.ram_bytes * SLACK) + SPARE, "its RAM and 2 %"),
            (int(self.instance_memory * SLACK), "the instance type's memory and 2 %"),
            (self.limits.max_size, "--max-size"), (room() if callable(room) else 0, "the space that is free here"),
        ]  # fmt: skip
        return min((bytes_, why) for bytes_, why in bounds if bytes_ > 0)

    def relay(self, sink: StreamSink) -> None:
        """Through the controller."""
        begin = time.monotonic()
        captured, hashed = self.captured, self.limits.node_hash
        consumer = relay_python(hashed) if self.python else (RELAY_HASHED if hashed else RELAY)
        by_sum = consumer == RELAY_HASHED
        script = capture_script(
            self.run, self.command, consumer, nice=self.limits.nice, node_hash=by_sum, hashed=hashed
        )
        captured.walker = RecordWalker(most=most_records(self.ram))
        most, why = self.bound()
        expected = self.meta.ram_bytes if self.meta.format == "lime" else 0
        pace = Pace(self.limits.limit_rate, expected, self.report)

        def store(block: bytes) -> None:
            if captured.size + len(block) > most:
                raise NodeError(f"the node sent more than {most:,} bytes ({why}): stopped, what arrived is kept")
            sink.write(block)
            captured.size += len(block)
            _walk(captured, block)

        stream = self.transport.open_stream(script)
        pump = Pump(store)
        try:
            while chunk := stream.read(CHUNK):
                pump.put(chunk)
                pace.step(len(chunk))
            pump.finish()
            result = stream.wait(120)
        finally:
            # whatever stopped it: every byte that was received is stored
            pump.stop()
            stream.close()
        captured.seconds = time.monotonic() - begin
        receipt = captured.receipt = parse_receipt(result.err)
        if result.code is None or receipt is None:
            size = f"{captured.size:,} bytes"
            raise ConnectError(f"the stream ended after {size} without the node's receipt ({_how(result)})")
        if result.code == 0 and receipt.tool == 0 and receipt.consumer == 0:
            captured.stored = sink.commit()
        else:
            captured.stored = sink.partial(f"the tool ended with {receipt.tool}, its sender with {receipt.consumer}")

    def direct(self, sink: DirectSink) -> None:
        """From the node to the store; the controller hands out addresses and waits."""
        captured = self.captured
        sink.bound = self.bound()
        if self.going:
            sink.adopt(self.transport, self.run)
        else:
            sink.prepare(self.transport, self.run)
        script = capture_script(self.run, self.command, sink.consumer(self.run), nice=self.limits.nice)
        stop = threading.Event()
        failed: list[MemirError] = []
        thread = threading.Thread(target=self._tend, args=(sink, stop, failed), daemon=True)
        thread.start()
        try:
            if self.going:
                result = wait_for_end(self.transport, self.run)
            else:
                result = run_to_end(self.transport, self.run, script, 2 * DAY)
        finally:
            stop.set()
            thread.join(60)
        receipt = captured.receipt = parse_receipt(result.err)
        if receipt is not None:
            captured.parts = sink.collect(self.transport, self.run, receipt)
        if failed and isinstance(failed[0], Interrupted):
            raise failed[0]
        if result.code is None or receipt is None:
            raise ConnectError("the capture on the node ended without its receipt") from next(iter(failed), None)
        if result.code == 0 and receipt.tool == 0 and receipt.consumer == 0:
            captured.stored = sink.commit_parts(captured.parts, receipt)
        else:
            why = f"the tool ended with {receipt.tool}, the uploader with {receipt.consumer}"
            captured.stored = sink.partial_parts(captured.parts, "; ".join([why, *map(str, failed)]))
        captured.size = captured.stored.size

    def _tend(self, sink: DirectSink, stop: threading.Event, failed: list[MemirError]) -> None:
        try:
            sink.sign_urls(self.transport, self.run, stop, self.report)
        except (RemoteError, Interrupted) as error:
            failed.append(error)
            # nobody hands out addresses any more: end the capture now, not when its patience ends
            with suppress(RemoteError):
                self.transport.run(abort_script(self.run), timeout=60)


def _how(result: Result) -> str:
    """How a script ended that sent no receipt."""
    ended = "no exit code" if result.code is None else f"exit code {result.code}"
    words = result.error.strip().splitlines()
    return f"{ended}, its last words: {words[-1][:300]}" if words else ended


def _walk(captured: Captured, chunk: bytes) -> None:
    if captured.walker is None or captured.format_problem:
        return
    try:
        captured.walker.feed(chunk)
    except ImageFormatError as error:
        # the bytes are kept all the same: they are evidence, whatever they are
        captured.format_problem = str(error)


class Pace:
    """Holds a rate limit, and reports about twice a second."""

    def __init__(self, limit: int, expected: int, report: Report) -> None:
        self.limit, self.expected, self.report = limit, expected, report
        self.done, self.start, self.reported = 0, time.monotonic(), 0.0

    def step(self, count: int) -> None:
        """Note `count` bytes, wait if they came too fast."""
        self.done += count
        spent = time.monotonic() - self.start
        if self.limit and (early := self.done / self.limit - spent) > 0:
            time.sleep(early)
            spent += early
        if spent - self.reported >= 0.5:
            self.reported = spent
            self.report(Progress(self.done, self.expected, self.done / spent, "capture"))
