# SPDX-License-Identifier: Apache-2.0
"""The controller is gone, or its connection: a node that sends to S3 by itself goes on, and is gone on with."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from memir.acquire.options import Options
from memir.acquire.resume import PreviousRun, lock_check, read_previous, same_signer
from memir.acquire.run import Acquisition
from memir.acquire.sinks.base import SinkMeta
from memir.acquire.sinks.s3.direct import S3DirectSink
from memir.acquire.sinks.s3.options import S3Options
from memir.acquire.transports.local import LocalTransport
from memir.acquire.transports.ssh.transport import SshTransport
from memir.aws.address import S3Address
from memir.aws.client import Connection
from memir.aws.evidence import S3PartReader
from memir.documents import encode
from memir.errors import CustodyError, NodeError, PartialError, UsageError
from memir.evidence.custody import Manifest, read_chain
from memir.evidence.records import Begin, NodeRecord, ToolRecord
from memir.evidence.verify import verify
from tests.acquire.rigs.cutter import Cutter
from tests.acquire.rigs.noderig import MIB, NodeRig
from tests.acquire.rigs.nodes import target
from tests.acquire.rigs.runs import clean, clean_but_sshd, stream_of
from tests.acquire.rigs.s3shim import Request, Shim
from tests.acquire.rigs.sshd import Sshd
from tests.acquire.rigs.ssm import SsmServer
from tests.acquire.rigs.wait import until
from tests.cli.test_acquire import memir

FIVE = 5 * MIB
ROOT = Path(__file__).resolve().parents[2]


class Hold:
    """Keeps part `number` on its way until it is let go."""

    def __init__(self, shim: Shim, number: int) -> None:
        self.arrived, self._go, self._number = threading.Event(), threading.Event(), str(number)
        shim.delay = self._delay

    def _delay(self, request: Request) -> float:
        # preflight asks whether it may store a part of something else
        if request.key.endswith("/image.lime") and request.query.get("partNumber") == self._number:
            self.arrived.set()
            self._go.wait()
        return 0.0

    def let_go(self) -> None:
        self._go.set()


def put_parts(shim: Shim) -> int:
    return sum(1 for method, path, status in shim.seen if method == "PUT" and "partNumber" in path and status == 200)


def until_parts(shim: Shim, parts: int) -> None:
    until(lambda: put_parts(shim) >= parts, lambda: shim.seen)


def start(said: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-m", "tests.acquire.rigs.controller", json.dumps(said)], env=environment)


def kill(process: subprocess.Popen[bytes]) -> None:
    """As `kill -9` of the controller: what it started on the node lives on."""
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def events(folder: Path) -> list[str]:
    chain = read_chain((folder / "manifest.jsonl").read_bytes())
    assert chain.problem == ""
    return [record["event"] for record in chain.records]


@pytest.mark.slow
@pytest.mark.parametrize("uploader", ["python", "bash"])
def test_another_controller_goes_on(
    node: NodeRig, tmp_path: Path, avml: Path, bucket: str, shim: Shim, s3: Any, uploader: str
) -> None:
    held = Hold(shim, 3)
    folder = tmp_path / "ev"
    first = start({
        "transport": "local", "root": str(node.root), "evidence": str(folder), "bucket": bucket, "tool": str(avml),
        "region": shim.region, "endpoint": shim.endpoint, "part_size": FIVE, "grace": 120, "uploader": uploader,
    })  # fmt: skip
    until_parts(shim, 2)
    kill(first)
    with (folder / "manifest.jsonl").open("ab") as file:
        file.write(b'{"event":"cut in the mid')
    held.let_go()
    went = memir(
        "acquire", "local", "--root", str(node.root), "--resume", str(folder), "--region", shim.region,
        "--s3-endpoint", shim.endpoint, "--json", "--no-context", tools=tmp_path / "tools", cwd=tmp_path,
    )  # fmt: skip
    assert went.returncode == 0, went.stderr
    receipt = json.loads(went.stdout)
    assert receipt["status"] == "complete"
    body = s3.get_object(Bucket=bucket, Key="case/run/image.lime")["Body"].read()
    assert body == stream_of(node)
    assert receipt["image"]["sha256"] == hashlib.sha256(body).hexdigest()
    assert receipt["left_on_node"] == []
    assert clean(node)
    assert events(folder) == [
        "begin", "node", "tool", "capture", "resumed", "captured", "cleaned", "image", "verdict", "end",
    ]  # fmt: skip
    resumed = json.loads((folder / "manifest.jsonl").read_text().splitlines()[4])
    assert (resumed["torn"], resumed["kept"]) == ('{"event":"cut in the mid', [])
    assert verify(folder, reader=S3PartReader(connection=Connection(shim.region, shim.endpoint))).complete
    again = memir("acquire", "local", "--resume", str(folder), tools=tmp_path / "tools", cwd=tmp_path)
    assert again.returncode == 2
    assert "that run is complete" in again.stderr


@pytest.mark.slow
def test_over_ssm_the_letters_are_taken_over(
    small_node: NodeRig, tmp_path: Path, avml: Path, bucket: str, shim: Shim, s3: Any, ssm_server: SsmServer
) -> None:
    agent = ssm_server.add(root=small_node.root)
    held = Hold(shim, 1)
    folder = tmp_path / "ev"
    said = {
        "transport": "ssm", "evidence": str(folder), "bucket": bucket, "tool": str(avml), "region": shim.region,
        "endpoint": shim.endpoint, "ssm_endpoint": ssm_server.endpoint, "instance": agent.instance_id,
        "part_size": FIVE, "grace": 120, "uploader": "python",
    }  # fmt: skip
    first = start(said)
    until(held.arrived.is_set, first.poll)
    kill(first)
    held.let_go()
    went = memir(
        "acquire", "ssm", "--instance-id", agent.instance_id, "--resume", str(folder), "--region", shim.region,
        "--s3-endpoint", shim.endpoint, "--ssm-endpoint", ssm_server.endpoint, "--json", "--no-context",
        tools=tmp_path / "tools", cwd=tmp_path,
    )  # fmt: skip
    assert went.returncode == 0, went.stderr
    assert json.loads(went.stdout)["status"] == "complete"
    body = s3.get_object(Bucket=bucket, Key="case/run/image.lime")["Body"].read()
    assert body == stream_of(small_node)
    names = [one["Key"] for one in s3.list_object_versions(Bucket=bucket).get("Versions", [])]
    assert [name for name in names if ".memir-20" in name] == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["reset", "close"])
def test_a_lost_connection_is_made_again(
    sshd: Sshd, node: NodeRig, tmp_path: Path, avml: Path, bucket: str, shim: Shim, s3: Any, mode: str
) -> None:
    """The node sends to S3 by itself: a cut of the SSH connection costs nothing."""
    folder = tmp_path / "ev"
    held = Hold(shim, 3)
    with Cutter(sshd.port, budget=None, mode=mode) as cutter:
        known = sshd.trust(tmp_path / "known", port=cutter.port)
        chosen = S3Options(connection=Connection(shim.region, shim.endpoint), part_size=FIVE, backoff=0.05, patience=60)
        sink = S3DirectSink(S3Address(bucket, "case/run"), chosen, s3)
        reached = target(sshd, port=cutter.port, known_hosts=known, stall=120.0)

        def cut_in_the_middle(_: object) -> None:
            if not cutter.cut and put_parts(shim) >= 2:
                cutter.budget = cutter.moved + 1
                held.let_go()

        run = Acquisition(
            SshTransport(reached), sink, folder, Options(tool_path=avml, format="lime", context=False, grace=120),
            report=cut_in_the_middle,
        )  # fmt: skip
        receipt = run.execute()
        assert cutter.cut
    assert receipt["status"] == "complete"
    assert s3.get_object(Bucket=bucket, Key="case/run/image.lime")["Body"].read() == stream_of(node)
    assert clean_but_sshd(node)


@pytest.mark.slow
def test_what_is_no_longer_on_the_node(
    node: NodeRig, tmp_path: Path, avml: Path, bucket: str, shim: Shim, s3: Any
) -> None:
    """The watchdog was quicker: nothing is changed, the record still holds and says so."""
    Hold(shim, 2)
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True, capture_output=True)
    folder = tmp_path / "ev"
    first = start({
        "transport": "local", "root": str(node.root), "evidence": str(folder), "bucket": bucket, "tool": str(avml),
        "region": shim.region, "endpoint": shim.endpoint, "part_size": FIVE, "grace": 6, "uploader": "python",
        "key": str(key),
    })  # fmt: skip
    until_parts(shim, 1)
    kill(first)
    assert clean(node)
    before = (folder / "manifest.jsonl").read_bytes()
    previous = read_previous(folder)
    chosen = S3Options(connection=Connection(shim.region, shim.endpoint), resume=previous.upload_id, part_size=FIVE)
    sink = S3DirectSink(S3Address.parse(previous.place), chosen, s3)
    run = Acquisition(LocalTransport(node.root), sink, folder, Options(tool_path=avml, sign_key=key), previous=previous)
    with pytest.raises(NodeError, match=rf"nothing was changed, lock: run {previous.run_id} is no longer on the node"):
        run.execute()
    assert (folder / "manifest.jsonl").read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == [".reserve", "manifest.jsonl"]


def test_an_earlier_end_is_kept(tmp_path: Path) -> None:
    from memir.acquire.resume import reopen_manifest

    manifest = Manifest(tmp_path)
    begin = Begin("r", "0.1.0", "kim", "ssh", {}, NodeRecord("n", "6.1", "x86_64", "b"))
    manifest.add("begin", **encode(begin))
    manifest.add("node", directory="/dev/shm/.memir-r", grace=300)
    manifest.add("tool", tool="avml", version="0.21.0", format="lime", files=[])
    manifest.add("capture", where="s3://bucket/case/run/image.lime", ram_bytes=1, upload_id="u", part_size=FIVE)
    manifest.add("verdict", status="partial", missing=["cut"])
    manifest.add("end", receipt="", status="partial")
    manifest.close()
    (tmp_path / "receipt.json").write_text("{}")
    (tmp_path / "manifest.sig").write_text("sig")
    previous = read_previous(tmp_path)
    told = (previous.place, previous.upload_id, previous.grace, previous.part_size)
    assert told == ("s3://bucket/case/run", "u", 300, FIVE)
    reopen_manifest(previous, begin).close()
    (tmp_path / "receipt.json").write_text("{ }")
    reopen_manifest(previous, begin).close()
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.name != "manifest.jsonl"} == {
        "receipt.1.json": "{}", "manifest.1.sig": "sig", "receipt.2.json": "{ }",
    }  # fmt: skip
    chain = read_chain((tmp_path / "manifest.jsonl").read_bytes())
    assert chain.problem == ""
    assert [(one["event"], one.get("kept"), one.get("name")) for one in chain.records[6:]] == [
        ("resumed", ["receipt.1.json", "manifest.1.sig"], None), ("file", None, "receipt.1.json"),
        ("file", None, "manifest.1.sig"), ("resumed", ["receipt.2.json"], None), ("file", None, "receipt.2.json"),
    ]  # fmt: skip
    assert chain.records[7]["sha256"] == hashlib.sha256(b"{}").hexdigest()


def previous_run(signer: str) -> PreviousRun:
    meta = SinkMeta("r", "n", "image.lime", "lime", 1, "")
    tool = ToolRecord("avml", "", "lime", ())
    return PreviousRun(Path("ev"), "r", "ssh", "/d", 5, meta, "s3://b/k", "u", 1, tool, signer)


def test_the_same_key_goes_on() -> None:
    signed = previous_run("ab" * 32)
    same_signer(signed, "ab" * 32)
    same_signer(previous_run(""), "")
    with pytest.raises(UsageError, match=r"--resume ev: the run began with the key abab.*, no --sign-key was given"):
        same_signer(signed, "")
    with pytest.raises(UsageError, match=r"--sign-key is cdcd.*give the same key"):
        same_signer(signed, "cd" * 32)


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([], "has no manifest.jsonl"),
        (["begin"], "never came to its capture"),
        (["begin", "node", "tool", "capture file"], "came through the controller"),
        (["begin", "node", "tool", "capture", "verdict complete"], "that run is complete"),
    ],
)
def test_nothing_to_go_on_with(tmp_path: Path, records: list[str], why: str) -> None:
    if records:
        manifest = Manifest(tmp_path)
        for name in records:
            event, _, word = name.partition(" ")
            where = str(tmp_path / "image.lime") if word == "file" else "s3://bucket/case/run/image.lime"
            manifest.add(
                event, where=where, upload_id="" if word == "file" else "u", status=word or "partial", missing=[],
                node={"hostname": "n", "kernel": "6.1", "machine": "x86_64", "boot_id": "b"}, run="r", memir="0.1.0",
                who="kim", identity={}, transport="ssh", directory="/d", grace=1, ram_bytes=1, format="lime",
                part_size=1, tool="avml", version="", files=[],
            )  # fmt: skip
        manifest.close()
    with pytest.raises(UsageError, match=why):
        read_previous(tmp_path)


def test_a_broken_record_is_not_gone_on_with(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    for number in range(3):
        manifest.add("begin", number=number)
    manifest.close()
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"number":1', b'"number":7'))
    before = path.read_bytes()
    with pytest.raises(CustodyError, match=r"manifest.jsonl line 2"):
        read_previous(tmp_path)
    with pytest.raises(CustodyError, match=r"manifest.jsonl line 2"):
        Manifest.reopen(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_a_node_that_does_not_come_back(
    sshd: Sshd, node: NodeRig, tmp_path: Path, avml: Path, bucket: str, shim: Shim, s3: Any
) -> None:
    """Nobody reaches the node any more: partial, with what arrived, and how to go on as long as it sends."""
    folder = tmp_path / "ev"
    Hold(shim, 3)
    with Cutter(sshd.port, budget=None, dead=True) as cutter:
        known = sshd.trust(tmp_path / "known", port=cutter.port)
        chosen = S3Options(connection=Connection(shim.region, shim.endpoint), part_size=FIVE, backoff=0.05, patience=60)
        sink = S3DirectSink(S3Address(bucket, "case/run"), chosen, s3)
        reached = target(sshd, port=cutter.port, known_hosts=known, stall=120.0)

        def cut(_: object) -> None:
            if put_parts(shim) >= 2 and cutter.budget is None:
                cutter.budget = cutter.moved + 1

        run = Acquisition(
            SshTransport(reached), sink, folder, Options(tool_path=avml, format="lime", context=False, grace=10),
            report=cut,
        )  # fmt: skip
        with pytest.raises(PartialError, match=rf"the same command with --resume {folder} goes on"):
            run.execute()
    receipt = json.loads((folder / "receipt.json").read_bytes())
    assert receipt["status"] == "partial"
    assert "its watchdog removes it in 10 s" in receipt["left_on_node"][0]
    assert clean_but_sshd(node)
    found = verify(folder, reader=S3PartReader(connection=Connection(shim.region, shim.endpoint)))
    assert (found.holds, found.complete) == (True, False)


def test_whose_lock_it_is() -> None:
    previous = previous_run("")
    goes_on = lock_check(previous, "r since 2026-01-01T00:00:00Z")
    assert (goes_on.level, goes_on.detail) == ("ok", "run r goes on")
    assert lock_check(previous, "").detail == "run r is no longer on the node"
    other = lock_check(previous, "r2 since 2026-01-01T00:00:00Z")
    assert (other.level, other.detail) == (
        "fail", "run r is no longer on the node, but r2 since 2026-01-01T00:00:00Z",
    )  # fmt: skip
