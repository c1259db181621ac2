# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from memir.evidence.progress import Progress
from memir.evidence.verify import verify

OLD = Path(__file__).parent / "data" / "evidence-0.1.0"


def test_what_a_check_reports() -> None:
    """Rising, to the size of the recorded image."""
    seen: list[Progress] = []
    assert verify(OLD, report=seen.append).complete
    size = (OLD / "image.avml").stat().st_size
    assert [report.done for report in seen] == sorted(report.done for report in seen)
    assert (seen[-1].done, seen[-1].expected) == (size, size)
    assert all(report.phase and report.rate >= 0 for report in seen)
