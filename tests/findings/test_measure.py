# SPDX-License-Identifier: Apache-2.0
"""The page of precision and recall is what is measured."""

from __future__ import annotations

from tests.findings.measure import HEAD, line
from tests.images import ROOT


def test_the_page_has_what_is_measured(image: str) -> None:
    page = (ROOT / "docs" / "reference" / "precision.md").read_text()
    assert page.startswith(HEAD)
    assert line(image) in page.splitlines(), "python -m tests.findings.measure > docs/reference/precision.md"
