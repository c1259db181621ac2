# SPDX-License-Identifier: Apache-2.0
"""Whether evidence holds, and the exit code that says so."""

from __future__ import annotations

import json

import pytest

from memir.evidence.findings import Findings, Problem, summary


@pytest.mark.parametrize(
    ("status", "signature", "problem", "code"),
    [
        ("complete", "trusted", False, 0),
        ("complete", "none", False, 5),
        ("partial", "trusted", False, 4),
        ("partial", "none", False, 4),
        ("not read", "holds", False, 4),
        ("complete", "trusted", True, 3),
        ("partial", "none", True, 3),
    ],
)
def test_the_worst_that_is_true_is_the_exit_code(status: str, signature: str, problem: bool, code: int) -> None:
    findings = Findings("ev", status=status, signature=signature)
    if problem:
        findings.wrong("ram.lime", "has 3 bytes, recorded are 4")
    assert findings.exit_code == code
    assert findings.holds is not problem
    assert findings.complete is (status == "complete" and not problem)


def test_the_summary_is_json_with_every_problem() -> None:
    findings = Findings("ev", status="complete", whose={"run": "r"}, problems=[Problem("a", "is missing")])
    document = json.loads(json.dumps(summary(findings)))
    assert document["problems"] == [{"where": "a", "what": "is missing"}]
    assert (document["holds"], document["status"], document["whose"]) == (False, "complete", {"run": "r"})
    assert set(document) == set(summary(Findings("other")))
