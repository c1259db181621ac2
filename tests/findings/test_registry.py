# SPDX-License-Identifier: Apache-2.0
"""Detections are found by their files."""

from __future__ import annotations

from pathlib import Path

from memir.findings.registry import FOLDER, detections
from memir.tables.table import tables
from tests.modules import ROOT


def test_every_file_is_a_detection_of_its_name() -> None:
    files = sorted((ROOT / Path(*FOLDER.split("."))).glob("[a-z]*.py"))
    assert len(files) >= 12
    assert list(detections()) == [path.stem.replace("_", "-") for path in files]


def test_they_look_at_tables_that_there_are() -> None:
    for detection in detections().values():
        assert detection.tables and set(detection.tables + detection.more) <= tables().keys(), detection.kind


def test_each_says_what_people_need() -> None:
    for detection in detections().values():
        for text in (detection.title, detection.how, detection.why):
            assert len(text) > 10, detection.kind
        assert detection.check_next and detection.benign and detection.missed, detection.kind
