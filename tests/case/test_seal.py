# SPDX-License-Identifier: Apache-2.0
"""The seal's chain and its signature, as written and as tampered with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memir.case.seal import (
    CHAIN,
    SIGNATURE,
    Input,
    Seal,
    append,
    check_signature,
    parse_seal,
    read_seal,
    sha256_file,
    sign,
)
from memir.errors import CaseError
from memir.evidence.custody import START, canonical, record_hash
from tests.case.test_read_record import ODD, mutated, places
from tests.fuzz import cases

FIELDS: dict[str, Any] = {
    "event": "hunt", "memir": "0.1.0", "run": "00ff", "case": "ab" * 32, "tables": {"hits": "cd" * 32},
    "written": ["hits"], "inputs": [Input("rules", "a.yar", "ef" * 32)], "replaced": None,
}  # fmt: skip


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    seal = Seal()
    for number in range(3):
        seal = append(tmp_path, seal, {**FIELDS, "run": str(number)})
    return tmp_path


def test_a_chain_that_holds(chain: Path) -> None:
    seal = read_seal(chain)
    assert (seal.problem, len(seal.entries)) == ("", 3)
    assert [(entry.seq, entry.run) for entry in seal.entries] == [(0, "0"), (1, "1"), (2, "2")]
    assert seal.entries[0].prev == START and seal.entries[2].prev == seal.entries[1].hash
    assert seal.head == seal.entries[2].hash and seal.entries[0].inputs == (Input("rules", "a.yar", "ef" * 32),)


def test_every_way_to_tamper_is_told(chain: Path) -> None:
    path = chain / CHAIN
    lines = path.read_bytes().splitlines(keepends=True)
    for content, words in (
        (lines[0] + lines[2], "line 2: does not follow the one before"),
        (lines[1] + lines[0], "line 1: does not follow the one before"),
        (lines[0].replace(b'"hunt"', b'"help"') + lines[1], "line 1: its hash is not that of its content"),
        (lines[0] + lines[1][:-9], "line 2 is cut in the middle"),
        (b"", "is empty"),
        (b"{}\n", "line 1: field seq is missing"),
        (b"[1]\n", "line 1: the document is a list, where an object is expected"),
        (b"[" * 9999 + b"\n", "line 1: not JSON"),
    ):
        path.write_bytes(content)
        assert words in read_seal(chain).problem
    path.unlink()
    assert read_seal(chain).problem == f"{CHAIN} is not there"
    path.mkdir()
    with pytest.raises(CaseError, match="cannot be read"):
        read_seal(chain)


def test_signatures(chain: Path) -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    seal = read_seal(chain)
    assert check_signature(None, seal).signer is None
    assert check_signature(None, seal, key.public_key()).problems == (f"{SIGNATURE} is not there, and you name a key",)
    sign(chain, seal, key)
    data = (chain / SIGNATURE).read_bytes()
    good = check_signature(data, seal, key.public_key())
    assert (good.signer, good.entries, good.problems) == (key.public_key().public_bytes_raw().hex(), 3, ())
    assert "not by the key that you trust" in check_signature(data, seal, other.public_key()).problems[0]
    longer = append(chain, seal, FIELDS)
    assert (check_signature(data, longer).entries, check_signature(data, longer).problems) == (3, ())
    shorter = Seal(seal.entries[:2], seal.entries[1].hash)
    assert "over 3 entries that are not those" in check_signature(data, shorter).problems[0]
    document = json.loads(data)
    for change, words in (
        ({"signature": "00" * 64}, "does not hold"),
        ({"signature": "zz"}, "cannot be used"),
        ({"public_key": "00"}, "cannot be used"),
        ({"entries": -1}, "over -1 entries"),
        ({"entries": None}, "field entries is None"),
    ):
        assert words in check_signature(json.dumps({**document, **change}).encode(), seal).problems[0]
    assert "not JSON" in check_signature(b"\xff", seal).problems[0]


def test_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(CaseError, match="cannot be read"):
        sha256_file(tmp_path / "b")


def test_ten_thousand_malformed_entries(tmp_path: Path) -> None:
    append(tmp_path, Seal(), FIELDS)
    good = json.loads((tmp_path / CHAIN).read_bytes())

    @settings(max_examples=cases(1_000), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(places(good)), ODD, st.booleans(), st.booleans())
    def run(place: tuple[Any, ...], value: Any, drop: bool, again: bool) -> None:
        document = mutated(good, place, value, drop)
        if again and isinstance(document, dict):
            document["hash"] = record_hash(document)  # whoever changes an entry can hash it again
        line = canonical(document) if isinstance(document, dict) else json.dumps(document).encode()
        seal = parse_seal(line + b"\n")
        assert not seal.problem or f"{CHAIN} line 1" in seal.problem

    run()
