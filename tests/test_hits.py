# SPDX-License-Identifier: Apache-2.0
"""A hunt's rows as a table to look at, and what a case keeps of it."""

from __future__ import annotations

import pyarrow as pa

from memir.case.record import HuntFacts, RulesUsed
from memir.hits import Hits, Hunted
from memir.hunt.hunt import Hunt

FACTS = HuntFacts(RulesUsed(("a.yar",), 1), "region", ("free",), 2, 1, {"free": 4096})


def test_hits_are_a_view_with_the_facts_of_their_hunt() -> None:
    hits = Hits(pa.table({"rule": ["a"], "run": ["00ff"]}), "00ff", FACTS, 1.5, True)
    assert [row["rule"] for row in hits] == ["a"]
    assert (hits.run, hits.facts.hits, hits.seconds, hits.stopped) == ("00ff", 2, 1.5, True)


def test_what_a_case_keeps() -> None:
    kept = Hunted("00ff", Hunt([], {}, {}, {}, 1), FACTS, 1.5, (), ())
    assert (kept.run, kept.result.rows, kept.facts) == ("00ff", [], FACTS)
