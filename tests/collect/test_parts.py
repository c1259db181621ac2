# SPDX-License-Identifier: Apache-2.0
"""A stream in parts through a real S3 server, from a node's root on this machine."""

from __future__ import annotations

import hashlib
import secrets
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.session import NodeSession
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.transports.local import LocalTransport
from memir.aws.address import S3Address
from memir.aws.checksum import b64
from memir.aws.client import Connection
from memir.collect.parts import PartObjects, PartsStream
from memir.errors import ConnectError, StorageError
from tests.acquire.rigs.s3shim import Shim
from tests.collect.podrig import PodRig

PART = 1000


def parts_of(bucket: str, shim: Shim, s3: Any, **options: Any) -> PartObjects:
    chosen = S3Options(Connection(shim.region, shim.endpoint), part_size=PART, backoff=0.01, **options)
    return PartObjects(S3Address(bucket, "case"), chosen, f"20260101-000000-{secrets.token_hex(4)}", s3)


def store(url: str, body: bytes) -> int:
    headers = {"x-amz-checksum-sha256": b64(hashlib.sha256(body).hexdigest())}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method="PUT")) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def keys(s3: Any, bucket: str) -> list[str]:
    return [item["Key"] for item in s3.list_object_versions(Bucket=bucket).get("Versions", [])]


def test_a_part_is_one_object_of_one_hash(bucket: str, shim: Shim, s3: Any) -> None:
    parts = parts_of(bucket, shim, s3)
    body = secrets.token_bytes(PART)
    digest = hashlib.sha256(body).hexdigest()
    assert parts.take(1) is None, "nobody asked for it"
    url = parts.sign(1, PART, digest)
    assert parts.take(1) is None, "it is not there yet"
    assert store(url, b"other") >= 400
    assert store(url, body) == 200
    assert keys(s3, bucket) == [f"case/{parts.place(1)}"]
    assert parts.take(1) == body
    assert keys(s3, bucket) == []
    assert (parts.held(), parts.clear()) == ({}, [])
    assert parts.sign(1, PART, digest).startswith(shim.endpoint), "asked for again, as when the URL was too old"
    for number, size, sha256 in ((0, 1, digest), (100_000, 1, digest), (2, PART + 1, digest), (2, 0, digest)):
        with pytest.raises(StorageError, match=f"part {number} of {size} bytes was asked for; refused"):
            parts.sign(number, size, sha256)
    with pytest.raises(StorageError, match="part 1 was asked for with two hashes"):
        parts.sign(1, PART, "0" * 64)
    assert parts.grants([f"1 {PART} {'0' * 64} 0"]) == ["STOP the controller refuses this part"]


def test_another_s_bytes_are_refused_and_leavings_removed(bucket: str, shim: Shim, s3: Any) -> None:
    """Whoever may write to the bucket puts other bytes there after the node's."""
    parts = parts_of(bucket, shim, s3)
    for number in (1, 2, 3):
        parts.sign(number, 3, hashlib.sha256(b"abc").hexdigest())
    for number, body in ((1, b"abd"), (2, b"abc")):
        s3.put_object(Bucket=bucket, Key=f"case/{parts.place(number)}", Body=body)
    with pytest.raises(StorageError, match="is not what the node sent: 3 bytes of another SHA-256"):
        parts.take(1)
    assert parts.clear() == []
    assert keys(s3, bucket) == []


def stream_of(pod: PodRig, parts: PartObjects, command: str, left: list[str]) -> PartsStream:
    transport = LocalTransport(pod.root)
    session = NodeSession(transport, parts.name)
    session.start(8 << 20)
    parts.prepare(transport, session.run)
    return PartsStream(transport, session, parts, command.format(session.run.fifo), left)


def read(stream: PartsStream) -> bytes:
    return b"".join(iter(lambda: stream.read(700), b""))


def test_a_stream(pod: PodRig, shm: Path, bucket: str, shim: Shim, s3: Any) -> None:
    left: list[str] = []
    stream = stream_of(pod, parts_of(bucket, shim, s3), "seq 1 1000 > {}; echo words >&2; exit 3", left)
    assert read(stream) == "".join(f"{number}\n" for number in range(1, 1001)).encode()
    result = stream.wait(60)
    assert (result.code, result.error) == (3, "words")
    stream.close()
    assert (left, keys(s3, bucket), list(shm.iterdir())) == ([], [], [])


def test_a_stream_that_is_left_alone(pod: PodRig, shm: Path, bucket: str, shim: Shim, s3: Any) -> None:
    """The reader stops in it: the collector is ended, and nothing stays."""
    left: list[str] = []
    stream = stream_of(pod, parts_of(bucket, shim, s3), "seq 1 1000 > {0}; sleep 600 > {0}", left)
    assert stream.read(10) == b"1\n2\n3\n4\n5\n"
    unsaid = stream.wait(0)
    assert (unsaid.code, unsaid.error) == (None, "the node has not said that it has ended")
    stream.close()
    assert (left, keys(s3, bucket), list(shm.iterdir())) == ([], [], [])
    with pytest.raises(ConnectError):
        read(stream)


def test_whether_the_node_can(pod: PodRig, bucket: str, shim: Shim, s3: Any) -> None:
    node = LocalTransport(pod.root)
    assert [check.level for check in parts_of(bucket, shim, s3).check_node(node)] == ["ok", "ok"]
    port = shim.port
    shim.stop()
    failed = parts_of(bucket, shim, s3).check_node(node)[-1]
    assert (failed.level, str(port) in failed.detail) == ("fail", True)
    assert failed.advice == "collect the pod with --transport pod or ssh, which need no way from the node to S3"
