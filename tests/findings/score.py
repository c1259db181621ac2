# SPDX-License-Identifier: Apache-2.0
"""Precision and recall of the findings of every image against its labels.

A finding matches a label of its kind on the same pod, container, process, path or container id; it matches one label
once, and below the label's lowest severity it is a miss. Precision: high and critical findings that match a label, of
all high and critical ones. Recall: labels that a finding matches, of all labels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.findings.labels.make import BUILT, make
from tests.images import case

LABELS = Path(__file__).parent / "labels"
SEVERITIES = ("info", "low", "medium", "high", "critical")
_KEYS = ("pid", "path", "container_id", "pod_uid")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Score:
    """high: high and critical findings; right: those of them that match a label; labels and matched of them.

    wrong: titles of high findings that no label knows. missed: labels that nothing matched.
    """

    high: int
    right: int
    labels: int
    matched: int
    wrong: tuple[str, ...]
    missed: tuple[str, ...]

    @property
    def precision(self) -> float:
        return self.right / self.high if self.high else 1.0

    @property
    def recall(self) -> float:
        return self.matched / self.labels if self.labels else 1.0


def labels_of(name: str) -> dict[str, Any]:
    """The labels of an image. KeyError for one without."""
    if name in BUILT:
        return make(case(name))
    path = LABELS / f"{name}.json"
    if not path.is_file():
        raise KeyError(f"{name} has no labels: write them in tests/findings/labels/make.py before memir reads it")
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def score(rows: Sequence[Row], labels: Iterable[Row]) -> Score:
    """rows: of the table findings."""
    labels = list(labels)
    taken: set[int] = set()
    missed = []
    for label in labels:
        match = next((row for row, finding in enumerate(rows) if row not in taken and _fits(finding, label)), None)
        if match is None:
            missed.append(json.dumps(label))
        else:
            taken.add(match)
    high = [row for row, finding in enumerate(rows) if finding["severity"] in ("high", "critical")]
    wrong = tuple(f"{rows[row]['kind']}: {rows[row]['title']}" for row in high if row not in taken)
    return Score(len(high), len(high) - len(wrong), len(labels), len(labels) - len(missed), wrong, tuple(missed))


def _fits(finding: Row, label: Row) -> bool:
    return (
        finding["kind"] == label["kind"]
        and SEVERITIES.index(finding["severity"]) >= SEVERITIES.index(label["lowest"])
        and (label["pod"] is None or label["pod"] == f"{finding['namespace']}/{finding['pod_name']}")
        and (label["container"] is None or label["container"] == finding["container_name"])
        and all(finding[key] == label[key] for key in _KEYS if key in label)
    )
