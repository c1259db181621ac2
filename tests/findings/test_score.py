# SPDX-License-Identifier: Apache-2.0
"""Counting what is right: a label is matched once, and not by less than its lowest severity."""

from __future__ import annotations

from typing import Any

import pytest

from tests.findings.labels.make import make
from tests.findings.score import labels_of, score
from tests.images import case


def finding(kind: str, severity: str, pid: int) -> dict[str, Any]:
    return {"kind": kind, "severity": severity, "pid": pid, "title": f"{kind} {pid}", "namespace": "n",
            "pod_name": "p", "container_name": "c"}  # fmt: skip


def test_score() -> None:
    labels: list[dict[str, Any]] = [
        {"kind": "miner", "lowest": "high", "pod": "n/p", "container": "c", "pid": 1},
        {"kind": "miner", "lowest": "high", "pod": None, "container": None, "pid": 2},
        {"kind": "miner", "lowest": "low", "pod": "n/q", "container": None, "pid": 3},
    ]
    rows = [finding("miner", "high", 1), finding("miner", "critical", 1), finding("miner", "medium", 2),
            finding("miner", "low", 3)]  # fmt: skip
    result = score(rows, labels)
    assert (result.high, result.right, result.labels, result.matched) == (2, 1, 3, 1)
    assert result.wrong == ("miner: miner 1",)
    assert (result.precision, round(result.recall, 3)) == (0.5, 0.333)
    assert len(result.missed) == 2


def test_no_finding_is_neither_right_nor_wrong() -> None:
    assert score([], []).precision == score([], []).recall == 1.0


def test_labels_are_those_of_the_image(image: str) -> None:
    """What is in the file is what the recorded truth makes of it."""
    assert labels_of(image) == make(case(image))


def test_an_image_without_labels() -> None:
    with pytest.raises(KeyError, match="no labels"):
        labels_of("no-such-image")
