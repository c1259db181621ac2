# SPDX-License-Identifier: Apache-2.0
"""Severities, ids and texts of findings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memir.findings.finding import Match, Proof, at_least, of_file, short
from memir.findings.registry import detections


def test_severities_have_an_order() -> None:
    assert at_least("high", "medium") and at_least("low", "low") and not at_least("info", "low")
    with pytest.raises(ValueError, match="not in"):
        at_least("high", "dreadful")


def test_long_text_is_cut() -> None:
    assert short("a" * 300) == "a" * 300
    assert short("a" * 5000) == "a" * 299 + "…"
    assert short(None) == "None"


def test_an_id_is_what_it_is_about() -> None:
    detection = detections()["memfd-executable"]
    match = Match("high", "r", "t", {}, (Proof("processes", "pid = 7"),))
    assert detection.id_of(match) == detection.id_of(replace(match, severity="low", title="other", reason=""))
    other = replace(match, proofs=(Proof("processes", "pid = 8"),))
    assert detection.id_of(match) != detection.id_of(other)
    assert detection.id_of(replace(other, subject="processes: pid = 7")) == detection.id_of(match)
    assert detection.id_of(replace(match, subject="\ud800")).startswith(f"{detection.kind}-")


def test_what_proves_a_file() -> None:
    row = {"address": 9, "inode": 7, "source": "struct inode"}
    assert of_file(row) == Proof("inodes", "address = 9")
    assert of_file(row, inode=True) == Proof("inodes", "address = 9 and inode = 7")
    listed = {"address": None, "inode": None, "source": "node/it's.files.jsonl line 3"}
    assert of_file(listed, inode=True) == Proof("inodes", "source = 'node/it''s.files.jsonl line 3'")
