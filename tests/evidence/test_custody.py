# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import random
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from memir.errors import CustodyError, StorageError, UsageError
from memir.evidence.custody import (
    START,
    Manifest,
    canonical,
    check_signature,
    load_private,
    load_public,
    now,
    raw_public,
    read_chain,
    record_hash,
    require,
    sign,
    signed_message,
    wrong_link,
)  # fmt: skip
from tests.fuzz import cases

CASES = cases(300)


@pytest.fixture
def written(tmp_path: Path) -> tuple[bytes, str]:
    manifest = Manifest(tmp_path, clock=lambda: "2026-01-02T03:04:05.000000Z")
    manifest.add("begin", who="kim", node={"kernel": "6.1"})
    manifest.add("file", name="context/é", size=3)
    manifest.add("end", status="complete")
    manifest.close()
    return (tmp_path / "manifest.jsonl").read_bytes(), manifest.head


def test_records_are_chained(written: tuple[bytes, str]) -> None:
    data, head = written
    chain = read_chain(data)
    assert (chain.problem, chain.head) == ("", head)
    assert [record["seq"] for record in chain.records] == [0, 1, 2]
    assert chain.records[0]["prev"] == START
    assert chain.records[1]["prev"] == chain.records[0]["hash"] == record_hash(chain.records[0])
    assert chain.records[1]["name"] == "context/é"


def test_a_link_that_is_wrong_is_said(written: tuple[bytes, str]) -> None:
    line = written[0].splitlines()[0]
    record = json.loads(line)
    assert wrong_link(record, line, 0, START) == ""
    assert wrong_link(record, line, 0, "1" * 64).startswith("does not follow the one before")
    assert wrong_link(record, line + b" ", 0, START).startswith("its hash is not that of its content")
    assert wrong_link(record, line, 1, START) == "has number 0, not 1"


def test_a_manifest_is_never_opened_twice(tmp_path: Path) -> None:
    Manifest(tmp_path).close()
    with pytest.raises(StorageError, match="cannot start"):
        Manifest(tmp_path)


def test_a_changed_value_is_found_on_its_line(written: tuple[bytes, str]) -> None:
    chain = read_chain(written[0].replace(b'"size":3', b'"size":4'))
    assert chain.problem == "manifest.jsonl line 2: its hash is not that of its content: it was changed"
    assert len(chain.records) == 1


def test_a_changed_value_with_its_hash_made_again_is_found_on_the_next_line(
    written: tuple[bytes, str],
) -> None:
    lines = written[0].splitlines()
    record = json.loads(lines[1])
    record["size"] = 4
    record["hash"] = record_hash(record)
    lines[1] = canonical(record)
    assert read_chain(b"\n".join(lines) + b"\n").problem.startswith("manifest.jsonl line 3: does not follow")


def test_a_removed_line_is_found(written: tuple[bytes, str]) -> None:
    lines = written[0].splitlines(keepends=True)
    assert read_chain(lines[0] + lines[2]).problem.startswith("manifest.jsonl line 2: does not follow")
    assert read_chain(lines[1] + lines[0]).problem.startswith("manifest.jsonl line 1: does not follow")


def test_a_cut_is_found(written: tuple[bytes, str]) -> None:
    assert read_chain(written[0][:-5]).problem == "manifest.jsonl line 3: cut in the middle"
    assert read_chain(b"").problem == "manifest.jsonl line 1: the manifest is empty"


def test_any_flipped_bit_is_found(written: tuple[bytes, str]) -> None:
    rng = random.Random(11)
    for _ in range(CASES):
        data = bytearray(written[0])
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        assert read_chain(bytes(data)).problem


def test_hostile_lines_never_raise() -> None:
    rng = random.Random(12)
    for line in (b"[" * 5000, b'{"prev":1}', b"null", b'{"hash":[]}', b"\xff\xfe", b'{"a":1e999}'):
        assert read_chain(line + b"\n").problem
    for _ in range(CASES):
        assert read_chain(rng.randbytes(rng.randrange(1, 60))).problem


def test_the_records_of_a_whole_chain_only(written: tuple[bytes, str]) -> None:
    chain = read_chain(written[0])
    assert require(chain) == chain.records
    with pytest.raises(CustodyError, match="line 3: cut in the middle"):
        require(read_chain(written[0][:-5]))


def test_what_a_signature_is_over() -> None:
    assert signed_message("ab" * 32, 7) == b"memir manifest v1\n7\n" + b"ab" * 32 + b"\n"


def test_now_is_utc() -> None:
    before = datetime.now(UTC)
    stamp = datetime.strptime(now(), "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert before <= stamp <= datetime.now(UTC)


def pem(tmp_path: Path, key: Ed25519PrivateKey) -> tuple[Path, Path]:
    private, public = tmp_path / "key.pem", tmp_path / "key.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_signature_holds_for_its_manifest_and_key_only(tmp_path: Path, written: tuple[bytes, str]) -> None:
    key = Ed25519PrivateKey.generate()
    private, public = pem(tmp_path, key)
    chain = read_chain(written[0])
    data = sign(load_private(private), chain.head, len(chain.records))
    named = raw_public(key.public_key())
    assert check_signature(data, chain, None) == (named, [])
    assert check_signature(data, chain, load_public(public)) == (named, [])
    stranger = Ed25519PrivateKey.generate()
    wrong = check_signature(data, chain, stranger.public_key())[1]
    assert wrong == [f"manifest.sig is by the key {named}, not by the key that you trust"]
    lines = written[0].splitlines(keepends=True)
    shorter = read_chain(b"".join(lines[:2]))
    assert check_signature(data, shorter, None)[1] == [
        "manifest.sig is over 3 records, the manifest has 2, or another head"
    ]
    document = json.loads(data)
    document["signature"] = "00" * 64
    assert check_signature(json.dumps(document).encode(), chain, None)[1] == [
        "manifest.sig does not hold: it is not this key's signature over this manifest"
    ]


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"public_key":"zz"}', b'{"public_key":"00"}', b"[" * 9999])
def test_a_hostile_signature_file_is_said_not_raised(data: bytes, written: tuple[bytes, str]) -> None:
    assert "cannot be read" in check_signature(data, read_chain(written[0]), None)[1][0]


def test_openssh_keys_can_sign(tmp_path: Path) -> None:
    path = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    assert raw_public(load_private(path).public_key()) == raw_public(load_public(path.with_suffix(".pub")))


def test_keys_that_cannot_sign(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(locked)], check=True)
    with pytest.raises(UsageError, match="without a passphrase"):
        load_private(locked)
    rsa = tmp_path / "rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(rsa)], check=True)
    with pytest.raises(UsageError, match="not an Ed25519 key"):
        load_private(rsa)
    with pytest.raises(UsageError, match="cannot read"):
        load_private(tmp_path / "none")
    with pytest.raises(UsageError, match="not an Ed25519 key"):
        load_public(rsa.with_suffix(".pub"))
