# SPDX-License-Identifier: Apache-2.0
"""Techniques are those of ATT&CK 18.1, and none is revoked."""

from __future__ import annotations

from pathlib import Path

import pytest

from memir.findings.attack import VERSION, technique, techniques
from memir.findings.registry import detections

DATA = Path(__file__).parent / "data" / f"attack-{VERSION}.tsv"


def published() -> dict[str, list[str]]:
    """id: name, tactics, state; all of ATT&CK for Enterprise of that version."""
    lines = (line.split("\t") for line in DATA.read_text().splitlines() if not line.startswith("#"))
    return {number: rest for number, *rest in lines}


def test_every_technique_is_as_published_and_active() -> None:
    known = published()
    assert len(known) == 835 and sum(state == "revoked" for *_, state in known.values()) > 100
    for number, each in techniques().items():
        assert known[number] == [each.name, " ".join(each.tactics), "active"]


def test_every_kind_has_one_and_none_stands_here_for_nothing() -> None:
    assert {detection.technique for detection in detections().values()} == techniques().keys()


def test_ids_since_v19() -> None:
    assert technique("T1014").v19 == "T1014"
    assert technique("T1562.003").v19 == "T1690"
    with pytest.raises(KeyError):
        technique("T1086")  # revoked long ago
