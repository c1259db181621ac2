# SPDX-License-Identifier: Apache-2.0
"""Which sink takes which bytes: run.py asks for the kind, and both kinds answer."""

from __future__ import annotations

from pathlib import Path

from memir.acquire.sinks.base import DirectSink, Sink, SinkMeta, StreamSink
from memir.acquire.sinks.file import FileSink
from memir.acquire.sinks.s3.direct import S3DirectSink
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.sinks.s3.stream import S3StreamSink
from memir.aws.address import S3Address

ADDRESS = S3Address("bucket", "case")


def test_kinds_of_sinks() -> None:
    sinks: list[Sink] = [FileSink(Path("/ev")), S3StreamSink(ADDRESS, S3Options()), S3DirectSink(ADDRESS, S3Options())]
    assert [(isinstance(sink, StreamSink), isinstance(sink, DirectSink)) for sink in sinks] == [
        (True, False), (True, False), (False, True),
    ]  # fmt: skip
    assert [(sink.kind, sink.where) for sink in sinks] == [
        ("file", "/ev"), ("s3", "s3://bucket/case"), ("s3", "s3://bucket/case"),
    ]  # fmt: skip


def test_what_a_sink_is_told() -> None:
    meta = SinkMeta("r1", "node-1", "image.lime", "lime", 4096, "2026-01-01T00:00:00Z")
    assert (meta.name, meta.format, meta.ram_bytes) == ("image.lime", "lime", 4096)
