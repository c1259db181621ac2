# SPDX-License-Identifier: Apache-2.0
"""The judgement of images that lie in a folder and in a bucket."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.capture import Captured
from memir.acquire.facts import NodeFacts
from memir.acquire.preflight import NodeState
from memir.acquire.tools.avml import Avml
from memir.acquire.tools.base import ToolFile
from memir.acquire.verdict import inspect, judge_image
from memir.aws.evidence import S3PartReader
from memir.evidence.records import NodeReceipt, Part, Stored
from memir.evidence.walker import RecordWalker
from tests.acquire.rigs.noderig import banner, contents
from tests.image.files import lime

KERNEL = banner().split()[2].decode()
BANNER = banner().decode().strip()
DATA = contents(2 << 20, 9)
RANGE = (0x10_0000, 0x10_0000 + len(DATA))
STREAM = lime([(RANGE[0], DATA)])
SHA256 = hashlib.sha256(STREAM).hexdigest()
TOOL = Avml(ToolFile(Path("avml"), "avml", "ab" * 32, 7), "x86_64", "lime")
NODE = NodeState(NodeFacts(kernel=KERNEL), (RANGE,), (), "")


@pytest.fixture
def got(tmp_path: Path) -> Captured:
    (tmp_path / "image.lime").write_bytes(STREAM)
    walker = RecordWalker()
    walker.feed(STREAM)
    stored = Stored(
        str(tmp_path / "image.lime"), len(STREAM), SHA256, (Part(1, 0, len(STREAM), SHA256),), complete=True
    )
    return Captured(receipt=NodeReceipt(0, 0, SHA256, len(STREAM)), stored=stored, walker=walker)


def test_a_whole_image(got: Captured) -> None:
    verdict = judge_image([], TOOL, got, NODE)
    assert (verdict.missing, verdict.banner, verdict.notes) == ((), BANNER, ())
    assert verdict.coverage is not None
    assert (verdict.coverage.ram, verdict.coverage.complete) == ((RANGE,), True)


def test_every_reason_is_said(got: Captured) -> None:
    wider = replace(NODE, ram=((RANGE[0], RANGE[1] + 0x1000),))
    assert judge_image(["cut"], TOOL, got, wider).missing == (
        "cut", f"4,096 bytes of System RAM are missing: {RANGE[1]:#x}-{RANGE[1] + 0xFFF:#x}",
    )  # fmt: skip
    got.receipt = NodeReceipt(137, 0)
    assert judge_image([], TOOL, got, NODE).missing == (
        "the tool's exit code is 137: AVML was killed (out of memory, or the watchdog)",
    )
    got.format_problem = "no record"
    assert judge_image(["cut"], TOOL, got, NODE).missing == ("cut", "no record")
    assert judge_image([], TOOL, Captured(), NODE).missing == (
        "the node's receipt never came: the stream was cut, or the node stopped",
    )


def test_an_image_of_another_kernel_is_not_this_nodes(got: Captured) -> None:
    other = replace(NODE, facts=NodeFacts(kernel="9.9.9"))
    assert judge_image([], TOOL, got, other).missing == (
        "the image opens, but the kernel 9.9.9 does not name itself in it",
    )


def test_what_is_stored_is_looked_at_not_what_was_sent(got: Captured) -> None:
    assert got.stored is not None
    assert inspect(got.stored, KERNEL, None) == ([RANGE], BANNER, [])
    Path(got.stored.where).write_bytes(b"something else")
    (why,) = judge_image([], TOOL, got, NODE).missing
    assert why.startswith("the image does not open: ")


def test_an_image_in_a_bucket_is_read_through(got: Captured, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="case/image.lime", Body=STREAM)
    assert got.stored is not None
    got.stored = replace(got.stored, where=f"s3://{bucket}/case/image.lime")
    reader = S3PartReader(s3)
    assert inspect(got.stored, KERNEL, reader) == ([RANGE], BANNER, [])
    got.walker = None
    assert judge_image([], TOOL, got, NODE, reader).missing == ()
    s3.put_object(Bucket=bucket, Key="case/image.lime", Body=STREAM[:-1] + b"?")
    assert any("SHA-256" in why for why in judge_image([], TOOL, got, NODE, reader).missing)
