# SPDX-License-Identifier: Apache-2.0
"""A capture alone, and of a node that is hostile: it sends without end, or millions of records."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.capture import Capture, Captured, Pace
from memir.acquire.facts import NodeRun
from memir.acquire.options import Options
from memir.acquire.run import Acquisition
from memir.acquire.sinks.base import Sink, SinkMeta
from memir.acquire.sinks.file import FileSink
from memir.acquire.sinks.s3.direct import S3DirectSink
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.transports.local import LocalTransport
from memir.aws.address import S3Address
from memir.aws.client import Connection
from memir.errors import ConnectError, NodeError, PartialError, StorageError
from memir.evidence.progress import Progress
from memir.evidence.verify import verify
from tests.acquire.rigs.noderig import MIB, NodeRig
from tests.acquire.rigs.s3shim import Shim
from tests.image.files import lime, noise

RAM = [(0x1000, noise(0x9000, 1)), (0x10_0000, noise(0x20_0000, 2))]
STREAM = lime(RAM)


class Blind(LocalTransport):
    """A node whose bytes cannot come through the controller, as over SSM."""

    streams = False


def capture(
    folder: Path, sink: Sink, stream: bytes = STREAM, *, tail: str = "", transport: LocalTransport | None = None,
    **changes: Any,
) -> Capture:  # fmt: skip
    work = folder / "run"
    work.mkdir()
    for name in ("alive", "groups"):
        (work / name).touch()
    (work / "source").write_bytes(stream)
    meta = SinkMeta("r", "node-1", "image.lime", "lime", 1 << 20, "2026-01-01T00:00:00Z")
    sink.begin(meta)
    chosen: dict[str, Any] = {"nice": 0} | changes
    python = chosen.pop("python", False)
    return Capture(
        transport or LocalTransport(), NodeRun("r", str(work)), f"cat source > stream{tail}", sink, meta,
        Options(**chosen), lambda _: None, Captured(), python=python,
    )  # fmt: skip


@pytest.mark.parametrize(("python", "node_hash"), [(False, False), (False, True), (True, False), (True, True)])
def test_every_byte_is_stored_and_its_ranges_seen(tmp_path: Path, python: bool, node_hash: bool) -> None:
    one = capture(tmp_path, FileSink(tmp_path / "ev"), python=python, node_hash=node_hash)
    one.go()
    got = one.captured
    digest = hashlib.sha256(STREAM).hexdigest()
    assert (tmp_path / "ev/image.lime").read_bytes() == STREAM
    assert got.receipt is not None
    assert got.stored is not None
    assert got.walker is not None
    assert (got.size, got.stored.complete, got.stored.sha256) == (len(STREAM), True, digest)
    assert (got.receipt.tool, got.receipt.consumer, got.receipt.sha256) == (0, 0, digest if node_hash else "")
    assert got.walker.ranges == [(start, start + len(data)) for start, data in RAM]
    assert (got.format_problem, got.problems) == ("", [])
    assert got.seconds > 0
    assert got.store_seconds >= 0


def test_a_tool_that_fails_leaves_a_partial_image(tmp_path: Path) -> None:
    one = capture(tmp_path, FileSink(tmp_path / "ev"), tail="; exit 3")
    one.go()
    assert one.captured.stored is not None
    assert not one.captured.stored.complete
    assert one.captured.stored.missing == ("the tool ended with 3, its sender with 0",)
    assert (tmp_path / "ev/image.lime.partial").read_bytes() == STREAM


def test_bytes_that_are_no_image_are_kept_all_the_same(tmp_path: Path) -> None:
    one = capture(tmp_path, FileSink(tmp_path / "ev"), b"no image" * 1000)
    one.go()
    assert "no LiME or AVML record" in one.captured.format_problem
    assert (tmp_path / "ev/image.lime").read_bytes() == b"no image" * 1000


def test_a_stream_without_its_receipt_was_cut(tmp_path: Path) -> None:
    # the script is killed, as by a node that runs out of memory
    one = capture(tmp_path, FileSink(tmp_path / "ev"), tail="; : > tool.done; kill -s KILL $PPID")
    told = rf"ended after {len(STREAM):,} bytes without the node's receipt \(no exit code"
    with pytest.raises(ConnectError, match=told):
        one.go()
    assert one.captured.stored is None
    kept = one.captured.give_up(one.sink, "cut")
    assert kept is not None
    assert (kept.complete, kept.missing, kept.size) == (False, ("cut",), len(STREAM))


def test_a_file_needs_bytes_that_come_through_the_controller(tmp_path: Path) -> None:
    one = capture(tmp_path, FileSink(tmp_path / "ev"), transport=Blind())
    with pytest.raises(NodeError, match=r"the local transport cannot send to .*: use --to s3://"):
        one.go()


def direct(s3: Any, bucket: str, shim: Shim) -> S3DirectSink:
    options = S3Options(connection=Connection(shim.region, shim.endpoint), part_size=5 << 20, backoff=0.05)
    return S3DirectSink(S3Address(bucket, "case"), options, s3)


def test_straight_from_the_node(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    sink = direct(s3, bucket, shim)
    one = capture(tmp_path, sink)
    one.go()
    got = one.captured
    assert got.stored is not None
    assert (got.stored.complete, got.size, got.walker) == (True, len(STREAM), None)
    assert [(part.number, part.size) for part in got.parts] == [(1, len(STREAM))]
    assert s3.get_object(Bucket=bucket, Key="case/image.lime")["Body"].read() == STREAM


def test_straight_from_a_node_whose_tool_fails(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    one = capture(tmp_path, direct(s3, bucket, shim), tail="; exit 4")
    one.go()
    assert one.captured.stored is not None
    assert one.captured.stored.missing == ("the tool ended with 4, the uploader with 0",)
    assert "the parts are kept in upload" in one.captured.stored.resume
    kept = one.captured.give_up(one.sink, "stopped")
    assert kept is not None
    assert (kept.size, kept.missing) == (len(STREAM), ("stopped",))


class Full(FileSink):
    """A store that cannot even say what it has."""

    def partial(self, why: str) -> Any:
        raise StorageError(f"{why}: no space")


def test_what_cannot_be_kept_is_said(tmp_path: Path) -> None:
    got = Captured()
    assert got.give_up(Full(tmp_path), "cut") is None
    assert got.problems == ["what arrived could not be kept in order: cut: no space"]


def test_the_pace_is_held_and_reported() -> None:
    reports: list[Progress] = []
    pace = Pace(10_000, 8000, reports.append)
    begin = time.monotonic()
    pace.step(2000)
    assert reports == []
    pace.step(4000)
    spent = time.monotonic() - begin
    assert 0.59 < spent < 2
    assert [(report.done, report.expected) for report in reports] == [(6000, 8000)]
    assert reports[0].rate == pytest.approx(10_000, rel=0.1)


ENDLESS = "#!/bin/sh\nexec /usr/bin/yes AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
RECORDS = """#!/usr/bin/python3
import struct, sys
for base in range(0, 4_000_000, 100_000):
    sys.stdout.buffer.write(b"".join(
        struct.pack("<IIQQQ", 0x4C694D45, 1, at * 8192, at * 8192, 0) + b"x" for at in range(base, base + 100_000)))
"""


def hostile(node: NodeRig, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """A python3 of the node's own choice, found before the real one."""
    folder = node.root / "hostile"
    folder.mkdir()
    (folder / "python3").write_text(program)
    (folder / "python3").chmod(0o755)
    monkeypatch.setenv("PATH", "/hostile:/usr/bin:/bin:/usr/sbin:/sbin")


def acquire(node: NodeRig, folder: Path, avml: Path, **more: object) -> dict[str, object]:
    chosen: dict[str, Any] = {"tool_path": avml, "format": "lime", "grace": 5, "context": False} | more
    options = Options(**chosen)
    with pytest.raises(PartialError):
        Acquisition(LocalTransport(node.root), FileSink(folder), folder, options).execute()
    document: dict[str, object] = json.loads((folder / "receipt.json").read_bytes())
    return document


def test_a_node_that_sends_without_end(
    small_node: NodeRig, tmp_path: Path, avml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile(small_node, monkeypatch, ENDLESS)
    receipt = acquire(small_node, tmp_path / "ev", avml)
    ram = sum(len(segment.data) for segment in small_node.segments)
    most = int(ram * 1.02) + (4 << 20)
    assert f"the node sent more than {most:,} bytes (its RAM and 2 %): stopped" in str(receipt["missing"])
    assert (tmp_path / "ev" / "image.lime.partial").stat().st_size <= most
    assert verify(tmp_path / "ev").exit_code == 4


def test_the_user_s_own_bound(small_node: NodeRig, tmp_path: Path, avml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile(small_node, monkeypatch, ENDLESS)
    receipt = acquire(small_node, tmp_path / "ev", avml, max_size=3 << 20)
    assert "more than 3,145,728 bytes (--max-size)" in str(receipt["missing"])


def test_millions_of_records(node: NodeRig, tmp_path: Path, avml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile(node, monkeypatch, RECORDS)
    receipt = acquire(node, tmp_path / "ev", avml)
    assert "records at byte" in str(receipt["missing"])
    assert (tmp_path / "ev" / "receipt.json").stat().st_size < 200_000
    assert (tmp_path / "ev" / "manifest.jsonl").stat().st_size < 200_000


ASKS_FOR_EVER = """#!/usr/bin/python3
import hashlib, json, os, sys, time
# memir's own uploader is not what runs: this asks for URLs of a thousand full parts, and for more after STOP
folder, size = sys.argv[4], int(sys.argv[5])
with open(f"{folder}/want", "ab", 0) as want:
    for number in range(1, 1000):
        want.write(f"W {number} {size} {hashlib.sha256(str(number).encode()).hexdigest()} 0\\n".encode())
        time.sleep(0.01)
    time.sleep(600)
"""


def to_s3(node: NodeRig, folder: Path, avml: Path, sink: S3DirectSink, **more: Any) -> str:
    options = Options(tool_path=avml, format="lime", grace=5, context=False, **more)
    with pytest.raises(PartialError) as caught:
        Acquisition(LocalTransport(node.root), sink, folder, options).execute()
    receipt = folder / "receipt.json"
    return str(json.loads(receipt.read_bytes())["missing"]) if receipt.exists() else str(caught.value)


def test_the_node_s_own_way_to_s3_is_bound_too(
    node: NodeRig, tmp_path: Path, avml: Path, s3: Any, bucket: str, shim: Shim
) -> None:
    """An honest node that has more than --max-size: what fits is kept, nothing beyond is signed."""
    chosen = S3Options(part_size=5 * MIB, backoff=0.05, connection=Connection(shim.region, shim.endpoint))
    sink = S3DirectSink(S3Address(bucket, "case/run-1"), chosen, s3)
    missing = to_s3(node, tmp_path / "ev", avml, sink, max_size=12 * MIB)
    assert "the node sends more than 12,582,912 bytes (--max-size): refused at part 3" in missing
    assert sum(part.size for part in sink.held().values()) <= 12 * MIB
    # the bound of what it announced is set without being asked for
    assert verify(tmp_path / "ev").exit_code == 4


def test_a_node_that_asks_for_urls_without_end(
    node: NodeRig, tmp_path: Path, avml: Path, s3: Any, bucket: str, shim: Shim, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = S3Options(part_size=5 * MIB, backoff=0.05, connection=Connection(shim.region, shim.endpoint))
    sink = S3DirectSink(S3Address(bucket, "case/run-1"), chosen, s3)
    sink.uploader = "python"
    signed: list[int] = []
    sign = sink.sign

    def note(number: int, size: int, sha256: str) -> str:
        url = sign(number, size, sha256)
        signed.append(number * size)
        return url

    monkeypatch.setattr(sink, "sign", note)
    prepare = sink.prepare

    def hostile_from_here(transport: Any, run: Any) -> None:
        prepare(transport, run)
        sink._python = "/hostile/python3"

    monkeypatch.setattr(sink, "prepare", hostile_from_here)
    hostile(node, monkeypatch, ASKS_FOR_EVER)
    monkeypatch.setenv("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
    begin = time.monotonic()
    missing = to_s3(node, tmp_path / "ev", avml, sink)
    ram = sum(len(segment.data) for segment in node.segments)
    assert "(its RAM and 2 %): refused at part" in missing
    assert max(signed) <= int(ram * 1.02) + (4 << 20)
    assert time.monotonic() - begin < 120
