# SPDX-License-Identifier: Apache-2.0
"""What is known of an image as a whole."""

from __future__ import annotations

from datetime import UTC, datetime

from memir.findings.facts import facts_of
from tests.conftest import _node


def test_facts_of_a_machine_that_was_paused() -> None:
    facts = facts_of(_node("s-6.1-small"))
    assert facts.node == "ip-10-0-1-23.eu-west-1.compute.internal"
    assert facts.clock == datetime(2026, 11, 23, 22, 12, 42, 272000, UTC)
    assert facts.span is not None and facts.span < 1
    assert facts.smear.startswith("all clocks in it show one moment")
