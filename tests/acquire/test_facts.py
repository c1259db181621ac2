# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from memir.acquire.facts import NodeFacts, NodeRun


def test_where_a_run_lives() -> None:
    run = NodeRun("20260101-000000-ab", "/dev/shm/.memir-20260101-000000-ab")
    assert run.path("x") == "/dev/shm/.memir-20260101-000000-ab/x"
    assert run.fifo == "/dev/shm/.memir-20260101-000000-ab/stream"
    assert run.alive == "/dev/shm/.memir-20260101-000000-ab/alive"
    assert run.grace == 300


def test_what_is_not_known_is_no_claim() -> None:
    facts = NodeFacts()
    assert (facts.secure_boot, facts.module_signatures_forced, facts.kcore, facts.uid) == (None, None, False, -1)
    assert (facts.ram_bytes, facts.mem_total, facts.commands) == (0, 0, frozenset())
    with pytest.raises(AttributeError):
        facts.uid = 0  # type: ignore[misc]  # frozen is what is tested
