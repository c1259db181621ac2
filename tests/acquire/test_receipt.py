# SPDX-License-Identifier: Apache-2.0
"""The receipt and the manifest's end, written into a folder and read back."""

from __future__ import annotations

import getpass
import hashlib
import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest

import memir
from memir.acquire.capture import Captured
from memir.acquire.collect import Taken
from memir.acquire.facts import NodeFacts
from memir.acquire.options import Options
from memir.acquire.preflight import NodeState, Preflight
from memir.acquire.receipt import (
    MAX_LISTED,
    CustodyLog,
    Outcome,
    begin,
    close_manifest,
    coverage_record,
    finish,
    image_record,
    receipt_fields,
    seal_manifest,
    signer_of,
    signing_key,
    summary,
    tool_record,
    version,
    who,
)
from memir.acquire.sinks.file import FileSink
from memir.acquire.steps import make_plan
from memir.acquire.tools.avml import Avml
from memir.acquire.tools.base import ToolFile
from memir.acquire.transports.local import LocalTransport
from memir.errors import ConnectError, UsageError
from memir.evidence.coverage import Coverage
from memir.evidence.custody import Manifest, read_chain
from memir.evidence.judge import Verdict
from memir.evidence.records import NodeReceipt, Part, Stored

TOOL = Avml(ToolFile(Path("avml"), "avml", "ab" * 32, 7), "x86_64", "lime", "0.21.0")
FACTS = NodeFacts("node-1", "6.1", "x86_64", "b-1", ram_bytes=4096, iomem=b"\xff", clock_offset=0.5)
STORED = Stored("/ev/image.lime", 9, "cd" * 32, (Part(1, 0, 9, "cd" * 32),), complete=True)


def preflight() -> Preflight:
    plan = make_plan(LocalTransport(), TOOL, FileSink(Path("/ev")), grace=9)
    return Preflight(NodeState(FACTS, ((0x1000, 0x2000),), (), ""), TOOL, plan, ())


def outcome(missing: tuple[str, ...] = (), stopped: BaseException | None = None, **got: Any) -> Outcome:
    captured = Captured(receipt=NodeReceipt(0, 0), stored=STORED, seconds=1.23456)
    for name, value in got.items():
        setattr(captured, name, value)
    coverage = Coverage(((0x1000, 0x2000),), (), (), (), ())
    return Outcome("r1", preflight(), captured, Verdict(missing, coverage), (), stopped, Options(case="C-1"))


@pytest.fixture
def log(tmp_path: Path) -> CustodyLog:
    return CustodyLog(Manifest(tmp_path), tmp_path, FileSink(tmp_path))


def test_the_first_record() -> None:
    first = begin("r1", Options(case="C-1", command=("memir", "acquire")), LocalTransport(), preflight(), "ab")
    assert (first.run, first.memir, first.who, first.transport) == ("r1", version(), who(), "local")
    assert (first.node.hostname, first.node.iomem, first.node.ram_bytes) == ("node-1", "\\xff", 4096)
    assert (first.case, first.command, first.signer, first.instance_memory) == ("C-1", ("memir", "acquire"), "ab", 0)
    assert version() == memir.__version__
    assert who() == f"{getpass.getuser()}@{platform.node()}"


def test_keys(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", path], check=True, capture_output=True)
    public = subprocess.run(
        ["openssl", "pkey", "-in", path, "-pubout", "-outform", "DER"], check=True, capture_output=True
    ).stdout
    # the last 32 bytes of a SubjectPublicKeyInfo are the key (RFC 8410)
    assert signer_of(signing_key(path)) == public[-32:].hex()
    assert (signing_key(None), signer_of(None)) == (None, "")
    with pytest.raises(UsageError, match="cannot read the signing key"):
        signing_key(tmp_path / "none")


def test_records() -> None:
    tool = tool_record(TOOL, "avml x")
    assert (tool.tool, tool.version, tool.format, tool.command) == ("avml", "0.21.0", "lime", "avml x")
    assert [(file.name, file.sha256, file.size) for file in tool.files] == [("avml", "ab" * 32, 7)]
    assert receipt_fields(None) == {"receipt": None}
    assert receipt_fields(NodeReceipt(1, 0, log="x"))["receipt"] == {
        "tool": 1, "consumer": 0, "sha256": "", "size": None, "log": "x", "extra": {},
    }  # fmt: skip
    assert (image_record(STORED, "lime").where, image_record(None, "lime").where) == ("image.lime", "")
    assert image_record(Stored("s3://b/k", 1, "", (), complete=False), "avml").where == "s3://b/k"


def test_a_hostile_list_of_ranges_is_cut_and_its_sum_kept() -> None:
    many = tuple((start, start + 1) for start in range(0, 2 * (MAX_LISTED + 5), 2))
    record = coverage_record(Coverage(many, many, (), (), ()))
    assert record is not None
    assert (record.ram_bytes, len(record.missing), record.complete) == (MAX_LISTED + 5, MAX_LISTED, False)
    assert coverage_record(None) is None


def test_status_and_how_to_go_on(log: CustodyLog) -> None:
    whole = summary(log, outcome())
    assert (whole.status, whole.resume, whole.case, whole.seconds) == ("complete", "", "C-1", 1.235)
    partial = summary(log, outcome(("cut",)))
    assert (partial.status, partial.missing) == ("partial", ("cut",))
    assert partial.resume == "run the same command again, with a new folder"
    assert summary(log, outcome(("cut",), KeyboardInterrupt())).status == "interrupted"
    assert all(trace.stays for trace in whole.traces)


def test_the_end_is_bound_to_the_receipt(log: CustodyLog, tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "context/iomem").write_bytes(b"x")
    log.context([Taken("iomem", 1, hashlib.sha256(b"x").hexdigest())])
    log.files([tmp_path / "context/iomem"])
    document = finish(log, None, outcome())
    data = (tmp_path / "receipt.json").read_bytes()
    assert json.loads(data) == json.loads(json.dumps(document))
    chain = read_chain((tmp_path / "manifest.jsonl").read_bytes())
    assert chain.problem == ""
    assert [record["event"] for record in chain.records] == ["file", "file", "image", "verdict", "end"]
    assert chain.records[0]["name"] == chain.records[1]["name"] == "context/iomem"
    assert chain.records[4]["receipt"] == hashlib.sha256(data).hexdigest()


def test_any_receipt_is_sealed(log: CustodyLog, tmp_path: Path) -> None:
    document = seal_manifest(log, None, b"{}\n", "partial", {"notes": []})
    assert document == {"notes": []}
    (end,) = read_chain((tmp_path / "manifest.jsonl").read_bytes()).records
    assert (end["event"], end["status"], end["receipt"]) == ("end", "partial", hashlib.sha256(b"{}\n").hexdigest())


def test_a_signed_end_without_a_time_stamp(log: CustodyLog, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
    receipt = summary(log, outcome(("cut",)))
    document = close_manifest(log, signing_key(key), receipt, "http://127.0.0.1:9/")
    assert (tmp_path / "manifest.sig").stat().st_size > 64
    assert document["notes"][-1].startswith("the end has no time stamp: ")
    assert document["status"] == "partial"


class Refusing(FileSink):
    """A store that takes no small files."""

    def record(self, name: str, data: bytes) -> Any:
        raise ConnectError("no route")


def test_copies_that_were_not_taken_are_noted(tmp_path: Path) -> None:
    log = CustodyLog(Manifest(tmp_path), tmp_path, Refusing(tmp_path))
    (tmp_path / "x").write_bytes(b"1")
    log.files([tmp_path / "x"])
    log.copy("x")
    assert log.problems == [f"x could not be copied to {tmp_path}: no route"] * 2
    assert f"x could not be copied to {tmp_path}: no route" in summary(log, outcome()).notes
