# SPDX-License-Identifier: Apache-2.0
"""Lists of indicators: plain, CSV and STIX, as they are published, and damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memir.errors import UsageError
from memir.findings.indicators import classify, read_indicators
from tests.fuzz import cases, mutations

SHA256, MD5 = "ab" * 32, "cd" * 16
STIX = {
    "type": "bundle", "id": "bundle--1", "objects": [
        {"type": "indicator", "name": "miner", "pattern_type": "stix", "spec_version": "2.1",
         "pattern": f"[ipv4-addr:value = '198.51.100.77' OR file:hashes.'SHA-256' = '{SHA256}']"},
        {"type": "indicator", "pattern": "[domain-name:value = 'pool.example'] FOLLOWEDBY [url:value = 'https://x.test/a']"},
        {"type": "indicator", "pattern": "[domain-name:value LIKE '%.example']"},
        {"type": "indicator", "pattern": "[domain-name:value = 'old.example']", "revoked": True},
        {"type": "file", "hashes": {"MD5": MD5}}, {"type": "ipv6-addr", "value": "2001:db8::7"},
        {"type": "malware", "name": "none"},
    ],
}  # fmt: skip


def read(tmp_path: Path, text: str) -> set[tuple[str, str]]:
    path = tmp_path / "ioc"
    path.write_text(text)
    return {(row["type"], row["value"]) for row in read_indicators(path).rows}


def test_a_list(tmp_path: Path) -> None:
    text = f"# from a feed\n\n198.51.100.77\npool[.]minexmr.example # note\n{SHA256.upper()}\nhxxps://x[.]test/a?b\n10.0.0.0/8\n"
    assert read(tmp_path, text) == {
        ("address", "198.51.100.77"), ("domain", "pool.minexmr.example"), ("sha256", SHA256), ("domain", "x.test"),
        ("network", "10.0.0.0/8"),
    }  # fmt: skip


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "ioc.csv"
    path.write_text(f'type,Indicator,description\nip,198.51.100.77,"c2, first"\nhash,{MD5},\nnote,see text,x\n')
    known = read_indicators(path)
    assert [(row["type"], row["value"], row["name"], row["source"]) for row in known.rows] == [
        ("address", "198.51.100.77", "c2, first", f"{path}: line 2"), ("md5", MD5, "", f"{path}: line 3"),
    ]  # fmt: skip
    assert known.odd == [(f"{path}: line 4", "no hash, address or domain: see text")]
    assert read(tmp_path, f"ip,198.51.100.77\nhash,{SHA256}\n") == {("address", "198.51.100.77"), ("sha256", SHA256)}


def test_stix(tmp_path: Path) -> None:
    path = tmp_path / "ioc.json"
    path.write_text(json.dumps(STIX))
    known = read_indicators(path)
    assert {(row["type"], row["value"], row["name"]) for row in known.rows} == {
        ("address", "198.51.100.77", "miner"), ("sha256", SHA256, "miner"), ("domain", "pool.example", None),
        ("domain", "x.test", None), ("md5", MD5, None), ("address", "2001:db8::7", None),
    }  # fmt: skip
    assert known.odd == [("objects[2]", "a comparison that is not made: domain-name:value LIKE")]


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("198.51.100.77:4444", ("address", "198.51.100.77")), ("[2001:db8::7]", None),
        ("2001:DB8::7", ("address", "2001:db8::7")),
        ("Pool.Example.", ("domain", "pool.example")), ("localhost", None), ("a" * 40, ("sha1", "a" * 40)),
        ("http://[", None), ("", None), ("word", None), ("file.exe", ("domain", "file.exe")),
    ],
)  # fmt: skip
def test_classify(text: str, typed: tuple[str, str] | None) -> None:
    assert classify(text) == typed


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_indicators(tmp_path / "absent")
    for text in ("", "# nothing\n", "{", "word\n"):
        with pytest.raises(UsageError, match="no hash, address or domain in it"):
            read(tmp_path, text)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8 at byte 0"):
        read_indicators(tmp_path / "binary")


def test_hostile_files(tmp_path: Path) -> None:
    seeds = [json.dumps(STIX).encode(), f"type,indicator\nip,198.51.100.77\nh,{SHA256}\n".encode(), b"a.example\n" * 9]
    path = tmp_path / "ioc"
    for data in mutations(seeds, cases(200, 5000)):
        path.write_bytes(data)
        try:
            known = read_indicators(path)
        except UsageError:
            continue
        assert known.rows and all(classify(row["value"]) for row in known.rows)
