# SPDX-License-Identifier: Apache-2.0
"""The page of kinds is what the detections say."""

from __future__ import annotations

from memir.findings.reference import reference
from memir.findings.registry import detections
from tests.modules import ROOT


def test_the_page_is_made_from_the_detections() -> None:
    page = (ROOT / "docs" / "reference" / "findings.md").read_text()
    assert page == reference(), "python -m memir.findings.reference > docs/reference/findings.md"


def test_every_kind_is_in_it() -> None:
    lines = reference().splitlines()
    assert [line[3:] for line in lines if line.startswith("## ")] == list(detections())
