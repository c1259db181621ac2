# SPDX-License-Identifier: Apache-2.0
"""From a pipe on the node to a locked object, through a real S3 server behind a strict shim."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.facts import NodeRun
from memir.acquire.node.http import Connection as NodeConnection
from memir.acquire.node.http import Refused
from memir.acquire.sinks.s3.direct import S3DirectSink, archive
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.transports.local import LocalTransport
from memir.acquire.transports.ssm.command import Commander
from memir.acquire.transports.ssm.transport import SsmTransport
from memir.aws.address import S3Address
from memir.aws.checksum import b64, composite
from memir.aws.client import Connection, s3_client, service_client
from memir.errors import AccessError, NodeError
from tests.acquire.rigs.drive import MIB, data_of, digest, drive, meta
from tests.acquire.rigs.s3shim import Request, Shim
from tests.acquire.rigs.ssm import SsmServer
from tests.acquire.rigs.ssm_agent import Agent

FIVE = 5 * MIB


def make(s3: Any, bucket: str, shim: Shim, *, uploader: str = "python", **options: Any) -> S3DirectSink:
    chosen: dict[str, Any] = {"part_size": FIVE, "backoff": 0.05, "connection": Connection(shim.region, shim.endpoint)}
    chosen |= options
    sink = S3DirectSink(S3Address(bucket, "case-1"), S3Options(**chosen), s3)
    sink.uploader = uploader
    return sink


@contextlib.contextmanager
def over_ssm(server: SsmServer, agent: Agent, s3: Any, spool: S3Address) -> Iterator[SsmTransport]:
    client = service_client("ssm", Connection(server.region, server.endpoint))
    commander = Commander(client, agent.instance_id, poll=0.05, delivery=30)
    with contextlib.closing(SsmTransport(commander, s3=s3, spool=spool)) as transport:
        yield transport


@pytest.mark.parametrize("uploader", ["python", "bash"])
def test_whole_way(s3: Any, bucket: str, shim: Shim, tmp_path: Path, uploader: str) -> None:
    source = data_of(3 * FIVE + 12345)
    sink = make(s3, bucket, shim, uploader=uploader, lock_mode="GOVERNANCE", lock_days=2)
    got = drive(sink, LocalTransport(), tmp_path, source)
    assert got.stored.missing == ()
    assert got.stored.complete
    assert [part.size for part in got.parts] == [FIVE, FIVE, FIVE, 12345]
    assert [part.sha256 for part in got.parts] == [
        digest(source[start : start + FIVE]) for start in range(0, len(source), FIVE)
    ]
    assert got.stored.sha256 == digest(source)
    assert got.stored.size == len(source)
    assert got.stored.receipt["ObjectLockMode"] == "GOVERNANCE"
    assert str(got.stored.receipt["ObjectLockRetainUntilDate"]) > "2026"
    assert got.stored.receipt["VersionId"]
    assert got.stored.receipt["ChecksumSHA256"] == composite([part.sha256 for part in got.parts])
    body = s3.get_object(Bucket=bucket, Key="case-1/ram.lime")["Body"].read()
    assert body == source
    assert sink.reread(got.parts) == []
    # no URL stays in the run's directory
    for path in tmp_path.iterdir():
        assert path.name == "source" or not path.is_file() or b"X-Amz-Signature" not in path.read_bytes()


def test_over_ssm_through_the_mailbox(s3: Any, bucket: str, shim: Shim, tmp_path: Path, ssm_server: SsmServer) -> None:
    agent = ssm_server.add()
    source = data_of(5 * FIVE + 99)
    with over_ssm(ssm_server, agent, s3, S3Address(bucket, "case-1")) as transport:
        got = drive(make(s3, bucket, shim), transport, tmp_path, source)
    assert got.stored.missing == ()
    assert got.stored.complete
    assert got.stored.sha256 == digest(source)
    assert s3.get_object(Bucket=bucket, Key="case-1/ram.lime")["Body"].read() == source
    # no message and no envelope is left, and no URL was ever written to the node's disk
    names = [version["Key"] for version in s3.list_object_versions(Bucket=bucket).get("Versions", [])]
    assert names == ["case-1/ram.lime"]
    assert b"X-Amz-" not in agent.disk()
    assert b"AKIA" not in agent.disk()


def test_over_ssm_where_the_bucket_keeps_everything(
    s3: Any, shim: Shim, bucket: str, tmp_path: Path, ssm_server: SsmServer
) -> None:
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    s3.put_object_lock_configuration(
        Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    shim.locked_buckets.add(bucket)
    agent = ssm_server.add()
    with over_ssm(ssm_server, agent, s3, S3Address(bucket, "")) as transport:
        got = drive(make(s3, bucket, shim), transport, tmp_path, data_of(2 * FIVE + 1))
    assert got.stored.missing == ()
    assert got.stored.complete
    assert got.stored.receipt["ObjectLockMode"] == "GOVERNANCE"
    assert b"X-Amz-" not in agent.disk()


def test_session_token_dies_midway(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    """URLs that were signed before a moment are refused; the node asks again and nothing is lost."""
    import datetime as dt

    seen: list[Request] = []

    def first_parts(request: Request) -> float:
        if request.query.get("partNumber") in ("1", "2") and not seen:
            seen.append(request)
            # everything that was signed until now dies; the next second's URLs live
            now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
            shim.expired_before = now.strftime("%Y%m%dT%H%M%SZ")
        return 0.0

    shim.delay = first_parts
    source = data_of(3 * FIVE)
    got = drive(make(s3, bucket, shim, backoff=0.5), LocalTransport(), tmp_path, source)
    assert seen
    assert [status for method, _, status in shim.seen if method == "PUT"].count(400) >= 1
    assert got.stored.complete
    assert got.receipt is not None
    assert int(str(got.receipt.extra["retries"])) >= 1


@pytest.mark.parametrize("uploader", ["python", "bash"])
def test_denied_midway_keeps_what_is_there(s3: Any, bucket: str, shim: Shim, tmp_path: Path, uploader: str) -> None:
    shim.deny_if = lambda request: int(request.query.get("partNumber", "0")) >= 3
    sink = make(s3, bucket, shim, uploader=uploader, attempts=3)
    got = drive(sink, LocalTransport(), tmp_path, data_of(4 * FIVE))
    assert not got.stored.complete
    assert got.receipt is not None
    assert got.receipt.consumer == 3
    assert re.match("part [34]: .*HTTP 403 AccessDenied", str(got.receipt.extra["error"]))
    assert [part.number for part in got.parts] == [1, 2]
    assert f"kept in upload {sink.upload_id}" in got.stored.resume
    assert set(sink.held()) == {1, 2}
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_tool_that_fails_leaves_a_partial_upload(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    tool = f"head -c {FIVE + 7} /dev/urandom > {tmp_path}/stream; false"
    got = drive(make(s3, bucket, shim), LocalTransport(), tmp_path, b"", tool=tool)
    assert not got.stored.complete
    assert got.receipt is not None
    assert (got.receipt.tool, got.receipt.consumer) == (1, 0)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_empty_stream_is_not_complete(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    got = drive(make(s3, bucket, shim), LocalTransport(), tmp_path, b"", tool=f": > {tmp_path}/stream")
    assert not got.stored.complete
    assert got.stored.missing == ("no part was stored",)


def test_a_url_stores_nothing_but_the_parts_own_bytes(s3: Any, bucket: str, shim: Shim) -> None:
    sink = make(s3, bucket, shim)
    sink.begin(meta())
    body = data_of(FIVE)
    url = sink.sign(1, FIVE, digest(body))
    other = b"x" + body[1:]
    for sent, checksum in ((other, digest(body)), (other, digest(other)), (body[:-1], digest(body))):
        with pytest.raises(Refused):
            NodeConnection(10).request("PUT", url, sent, {"x-amz-checksum-sha256": b64(checksum)})
    assert sink.held() == {}
    NodeConnection(10).request("PUT", url, body, {"x-amz-checksum-sha256": b64(digest(body))})
    assert sink.held()[1].size == FIVE


def test_wishes_for_other_things_are_refused(s3: Any, bucket: str, shim: Shim) -> None:
    sink = make(s3, bucket, shim)
    sink.begin(meta())
    good = "1 5 " + "a" * 64 + " 0"
    assert len(sink.grants([good])) == 1
    for bad in ("0 5 " + "a" * 64 + " 0", "10001 5 " + "a" * 64 + " 0", f"1 {FIVE + 1} " + "a" * 64 + " 0"):
        assert sink.grants([bad]) == ["STOP the controller refuses this part"]
    for noise in (
        "1 5 zz 0",
        "1 5 " + "a" * 64,
        "; rm -rf /",
        "1 5 " + "a" * 64 + " 0 x",
        good + "\t",
        "1 5 " + "a" * 64 + " 51",
    ):
        assert sink.grants([noise]) == []


def test_lost_part_is_never_success(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    """A node that claims a part which the store does not hold, or other bytes than it sent."""
    sink = make(s3, bucket, shim)
    got = drive(sink, LocalTransport(), tmp_path, data_of(2 * FIVE), name="one")
    assert got.stored.complete
    again = make(s3, bucket, shim)
    again.begin(meta("two"))
    assert got.receipt is not None
    claimed = again.commit_parts(got.parts, got.receipt)
    assert not claimed.complete
    assert "the store does not hold part 1 as the node sent it" in claimed.missing


def test_the_bucket_is_the_owner_s(bucket: str, shim: Shim, tmp_path: Path, aws: None) -> None:
    """Each request names the account that must own the bucket, and the node's URLs work without that header."""
    asked: set[str] = set()

    def note(request: Request) -> float:
        owner = request.headers.get("x-amz-expected-bucket-owner", "none")
        asked.add(f"part {owner}" if request.presigned else f"own {owner}")
        return 0.0

    shim.delay = note
    ours = Connection(shim.region, shim.endpoint, owner=shim.owner)
    got = drive(make(s3_client(ours), bucket, shim, connection=ours), LocalTransport(), tmp_path, data_of(FIVE + 1))
    assert got.stored.complete
    assert asked == {f"own {shim.owner}", "part none"}
    other = Connection(shim.region, shim.endpoint, owner="999999999999")
    with pytest.raises(AccessError, match=r"s3:PutObject is denied on s3://.*\(--bucket-owner 999999999999\)"):
        make(s3_client(other), bucket, shim, connection=other).begin(meta("other"))


def test_rate_limit(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    """A busy machine is slower than the limit; nothing may be faster. A quarter of a second's bytes may go at once."""
    import time

    start = time.monotonic()
    got = drive(make(s3, bucket, shim, rate=4.0 * FIVE), LocalTransport(), tmp_path, data_of(8 * FIVE))
    assert got.stored.complete
    assert time.monotonic() - start > 8 / 4.0 - 0.25


def test_node_memory_is_bounded(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    size = 300 * MIB
    tool = f"head -c {size} /dev/zero > {tmp_path}/stream"
    sink = make(s3, bucket, shim, part_size=64 * MIB)
    got = drive(sink, LocalTransport(), tmp_path, b"", tool=tool, ram=size)
    assert got.stored.complete
    assert got.stored.size == size
    assert got.receipt is not None
    assert int(str(got.receipt.extra["peak_rss"])) < 200_000_000
    assert any(one.done > 0 for one in got.progress) or got.progress == []


def test_a_node_that_sends_more_than_its_ram_is_stopped(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    got = drive(make(s3, bucket, shim), LocalTransport(), tmp_path, data_of(4 * FIVE), ram=MIB)
    assert not got.stored.complete
    assert [part.number for part in got.parts] == [1, 2]
    assert got.result is not None
    assert b"told to stop: the controller refuses this part" in got.result.err


def test_send_one_file_through_the_store(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    for uploader in ("python", "bash"):
        sink = make(s3, bucket, shim, uploader=uploader)
        run = NodeRun("r", str(tmp_path))
        sink.begin(meta(uploader))
        sink.prepare(LocalTransport(), run)
        assert (
            sink.send(LocalTransport(), run, "/proc/version", f"{uploader}.txt") == Path("/proc/version").read_bytes()
        )
        with pytest.raises(NodeError, match="/nowhere on the node cannot be read"):
            sink.send(LocalTransport(), run, "/nowhere", "x")
        assert not (tmp_path / "send.tmp").exists()


def test_python_36_runs_the_uploader(s3: Any, bucket: str, shim: Shim, tmp_path: Path) -> None:
    found = sorted(Path.home().glob(".pyenv/versions/3.[6789]*/bin/python3"))
    if not found:
        pytest.skip("no Python 3.6 to 3.9 in ~/.pyenv/versions; the uploader runs with this one in the other tests")
    old = str(found[0])
    sink = make(s3, bucket, shim)
    # prepare would choose python3 by itself
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memir.acquire.sinks.s3.direct._can_run", lambda _: (old, False))
        got = drive(sink, LocalTransport(), tmp_path, data_of(FIVE + 1))
    assert got.stored.complete
    assert got.receipt is not None
    assert str(got.receipt.extra["uploader"]).startswith("python 3.")


def test_the_uploader_is_one_file_that_python_runs(tmp_path: Path) -> None:
    (tmp_path / "upload.pyz").write_bytes(archive())
    assert archive() == (tmp_path / "upload.pyz").read_bytes()
    assert "memir/acquire/node/parts.py" in zipfile.ZipFile(io.BytesIO(archive())).namelist()
    done = subprocess.run(
        [sys.executable, "-I", "-B", str(tmp_path / "upload.pyz"), "--help"], capture_output=True, text=True, check=True
    )
    assert "directory" in done.stdout
    assert "part_size" in done.stdout
