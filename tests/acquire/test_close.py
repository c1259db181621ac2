# SPDX-License-Identifier: Apache-2.0
"""A run whose controller was killed can be closed, verified and opened."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from memir.acquire.close import check_killed, close_run, image_in, node_of, read_killed, reopened
from memir.documents import encode
from memir.errors import UsageError
from memir.evidence.custody import Manifest, load_private, raw_public
from memir.evidence.location import address_of
from memir.evidence.records import Begin, NodeRecord, last
from memir.evidence.verify import verify
from memir.image.records import pack_header

RAM = pack_header(0x1000, 0x3000) + bytes(0x1800)  # cut in the middle of its record


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """What a killed controller leaves: a manifest whose last line is cut, and half an image."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    folder = tmp_path / "ev"
    folder.mkdir(mode=0o700)
    signer = raw_public(load_private(tmp_path / "key").public_key())
    manifest = Manifest(folder)
    node = NodeRecord("n", "6.1", "x86_64", "b", iomem="00001000-00002fff : System RAM\n")
    manifest.add("begin", **encode(Begin("r", "0.1.0", "kim", "ssh", {}, node, schema=2, case="C", signer=signer)))
    manifest.add("tool", tool="avml", version="0.21.0", format="lime", files=[])
    manifest.add("capture", where=str(folder), ram_bytes=0x2000)
    manifest.close()
    with (folder / "manifest.jsonl").open("ab") as file:
        file.write(b'{"event":"captu')
    (folder / "image.lime.partial").write_bytes(RAM)
    (folder / ".reserve").write_bytes(bytes(4096))
    return folder


def test_it_is_closed_signed_and_holds(killed: Path) -> None:
    receipt = close_run(killed, killed.parent / "key")
    assert (receipt.status, receipt.image.where, receipt.image.size) == ("interrupted", "image.lime.partial", len(RAM))
    assert receipt.case == "C"
    found = verify(killed, public_key=killed.parent / "key.pub")
    assert (found.problems, found.status, found.signature, found.exit_code) == ([], "interrupted", "trusted", 4)
    assert found.missing == ["the controller was killed before the run ended"]
    assert address_of(killed) == str(killed / "image.lime.partial")
    events = [json.loads(line)["event"] for line in (killed / "manifest.jsonl").read_bytes().splitlines()]
    assert events == ["begin", "tool", "capture", "problem", "image", "verdict", "end"]


def test_what_cannot_be_closed(killed: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the run began with the key"):
        close_run(killed)
    close_run(killed, killed.parent / "key")
    with pytest.raises(UsageError, match="that run has ended"):
        close_run(killed, killed.parent / "key")
    with pytest.raises(UsageError, match="is no evidence folder"):
        close_run(tmp_path / "none")


def test_what_any_killed_run_has(killed: Path) -> None:
    """Its whole records, its node, and a manifest that goes on with who closed it."""
    records, key = read_killed(killed, killed.parent / "key")
    assert [record["event"] for record in records] == ["begin", "tool", "capture"]
    begin = last(records, "begin", Begin)
    assert begin is not None
    assert (node_of(begin).hostname, node_of(begin).boot_id) == ("n", "b")
    check_killed(killed, records, begin, key)
    with pytest.raises(UsageError, match="the run began with the key"):
        check_killed(killed, records, begin, None)
    with reopened(killed) as manifest:
        manifest.add("end", status="interrupted")
    added = [json.loads(line) for line in (killed / "manifest.jsonl").read_bytes().splitlines()][3:]
    assert [record["event"] for record in added] == ["problem", "end"]
    assert "the last line was cut: '{\"event\":\"captu'" in added[0]["why"]


def test_no_image_arrived(tmp_path: Path) -> None:
    assert image_in(tmp_path, "avml").where == ""
