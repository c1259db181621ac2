# SPDX-License-Identifier: Apache-2.0
"""The page of precision and recall is what is measured."""

from __future__ import annotations

from tests.findings.labels.make import BUILT
from tests.findings.measure import HEAD, line
from tests.findings.real import NODE, on_the_node
from tests.images import ROOT


def test_the_page_has_what_is_measured(image: str) -> None:
    page = (ROOT / "docs" / "reference" / "precision.md").read_text()
    assert page.startswith(HEAD)
    if image in BUILT:  # anew each time: all that the page could say of it is this
        assert line(image).split(" | ")[3:7:3] == ["1.00", "1.00"]
        return
    assert line(image) in page.splitlines(), "python -m tests.findings.measure > docs/reference/precision.md"


@on_the_node
def test_findings_over_logs_are_measured() -> None:
    page = (ROOT / "docs" / "reference" / "precision.md").read_text()
    measured = line(NODE, logs=True)
    assert measured in page.splitlines(), "python -m tests.findings.measure > docs/reference/precision.md"
    *_, precision, labels, matched, recall, _, _, _ = [cell.strip() for cell in measured.split("|")]
    assert (precision, labels == matched, recall) == ("1.00", True, "1.00")
