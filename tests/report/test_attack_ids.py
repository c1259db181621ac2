# SPDX-License-Identifier: Apache-2.0
"""Ids of tactics, and techniques in their parts."""

from __future__ import annotations

from memir.findings.attack import techniques
from memir.report.attack_ids import TACTICS, tactic_name, technique_parts


def test_every_tactic_that_findings_name_has_its_id() -> None:
    assert {tactic for each in techniques().values() for tactic in each.tactics} <= set(TACTICS)
    assert len(set(TACTICS.values())) == len(TACTICS) == 14


def test_names_and_parts() -> None:
    assert tactic_name("command-and-control") == "Command and Control" and tactic_name("impact") == "Impact"
    assert technique_parts({"technique": "T1059.004"}) == ("T1059", "T1059.004")
    assert technique_parts({"technique": "T1611"}) == ("T1611", None)
