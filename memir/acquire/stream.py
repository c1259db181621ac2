"""The capture itself: the tool's stream into the sink, through the controller or straight from the node."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from memir.acquire.base import (
    DirectSink,
    NodeReceipt,
    NodeRun,
    Part,
    Progress,
    Report,
    Sink,
    SinkMeta,
    Stored,
    StreamSink,
    Transport,
)  # fmt: skip
from memir.acquire.capture import RELAY, RELAY_HASHED, capture_script, parse_receipt
from memir.acquire.records import RecordWalker
from memir.errors import ConnectError, ImageFormatError, NodeError, RemoteError

CHUNK = 1 << 20
DAY = 86_400.0


class Limits(Protocol):
    """The options that a capture looks at."""

    @property
    def nice(self) -> int: ...  # noqa: D102
    @property
    def limit_rate(self) -> int: ...  # noqa: D102
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


def capture(
    transport: Transport, run: NodeRun, command: str, sink: Sink, got: Captured, limits: Limits, report:
    Report, meta: SinkMeta,
) -> None:  # fmt: skip
    """Run the tool into the sink.

    Fills `got`. Raises RemoteError when the stream did not end as it should.
    """
    begin = time.monotonic()
    try:
        if isinstance(sink, StreamSink) and transport.streams:
            relay(transport, run, command, sink, got, limits, report, meta)
        elif isinstance(sink, DirectSink):
            direct(transport, run, command, sink, got, limits, report)
        else:
            raise NodeError(f"the {transport.kind} transport cannot send to {sink.where}: use --to s3://...")
    finally:
        got.seconds = time.monotonic() - begin


def relay(
    transport: Transport, run: NodeRun, command: str, sink: StreamSink, got: Captured, limits: Limits,
    report: Report, meta: SinkMeta,
) -> None:  # fmt: skip
    """Through the controller."""
    consumer = RELAY_HASHED if limits.node_hash else RELAY
    script = capture_script(run, command, consumer, nice=limits.nice, node_hash=limits.node_hash)
    got.walker = RecordWalker()
    expected = meta.ram_bytes if meta.format == "lime" else 0
    pace = Pace(limits.limit_rate, expected, report)
    stream = transport.open_stream(script)
    try:
        while chunk := stream.read(CHUNK):
            sink.write(chunk)
            got.size += len(chunk)
            _walk(got, chunk)
            pace.step(len(chunk))
        result = stream.wait(120)
    finally:
        stream.close()
    got.receipt = parse_receipt(result.err)
    if result.code is None or got.receipt is None:
        raise ConnectError(f"the stream ended after {got.size:,} bytes without the node's receipt")
    if result.code == 0 and got.receipt.tool == 0 and got.receipt.consumer == 0:
        got.stored = sink.commit()
    else:
        got.stored = sink.partial(
            f"the tool ended with {got.receipt.tool}, its sender with {got.receipt.consumer}"
        )


def direct(
    transport: Transport,
    run: NodeRun,
    command: str,
    sink: DirectSink,
    got: Captured,
    limits: Limits,
    report: Report,
) -> None:
    """From the node to the store; the controller hands out addresses and waits."""
    sink.prepare(transport, run)
    script = capture_script(run, command, sink.consumer(run), nice=limits.nice)
    stop = threading.Event()
    failed: list[BaseException] = []

    def tend() -> None:
        try:
            sink.tend(transport, run, stop, report)
        except RemoteError as error:
            failed.append(error)

    thread = threading.Thread(target=tend, daemon=True)
    thread.start()
    try:
        result = transport.run(script, timeout=2 * DAY)
    finally:
        stop.set()
        thread.join(60)
    got.receipt = parse_receipt(result.err)
    if got.receipt is not None:
        got.parts = sink.collect(transport, run, got.receipt)
    if result.code is None or got.receipt is None:
        raise ConnectError("the capture on the node ended without its receipt") from next(iter(failed), None)
    if result.code == 0 and got.receipt.tool == 0 and got.receipt.consumer == 0:
        got.stored = sink.commit_parts(got.parts, got.receipt)
    else:
        why = f"the tool ended with {got.receipt.tool}, the uploader with {got.receipt.consumer}"
        got.stored = sink.partial_parts(got.parts, "; ".join([why, *map(str, failed)]))
    got.size = got.stored.size


def _walk(got: Captured, chunk: bytes) -> None:
    if got.walker is None or got.format_problem:
        return
    try:
        got.walker.feed(chunk)
    except ImageFormatError as error:
        # the bytes are kept all the same: they are evidence, whatever they are
        got.format_problem = str(error)


class Pace:
    """Holds a rate limit, and reports about twice a second."""

    def __init__(self, limit: int, expected: int, report: Report) -> None:
        self.limit, self.expected, self.report = limit, expected, report
        self.done, self.start, self.said = 0, time.monotonic(), 0.0

    def step(self, count: int) -> None:
        """Note `count` bytes, wait if they came too fast."""
        self.done += count
        spent = time.monotonic() - self.start
        if self.limit and (early := self.done / self.limit - spent) > 0:
            time.sleep(early)
            spent += early
        if spent - self.said >= 0.5:
            self.said = spent
            self.report(Progress(self.done, self.expected, self.done / spent, "capture"))
