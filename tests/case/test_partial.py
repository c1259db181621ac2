# SPDX-License-Identifier: Apache-2.0
"""What an answer cannot have in it: said in words, each kind of gap with its own count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from memir.case.case import Case
from memir.case.partial import gap_table, gap_words, partial, percent
from memir.case.record import CaseRecord, Evidence, HuntFacts, ImageAnswer, RulesUsed, Run
from memir.gaps import Gap
from tests.case.test_case import ANALYSIS, ONE, processes

GAPS = (Gap("task", "0x1", "why", 3), Gap("RAM", "from 0x2", "bytes of System RAM that the image lacks", 4096))


WHOLE = Evidence("i", "raw", None, 10_000, 10_000, 0, (), None, ram_share=1.0, ram_total=10_000, ram_present=10_000)


def of(share: float | None, tmp_path: Path) -> CaseRecord:
    evidence = None if share is None else replace(WHOLE, ram_share=share, ram_present=5_904)
    case = Case.create(tmp_path / str(share))
    return case.add_tables({"processes": processes(1)}, replace(ANALYSIS, gaps=GAPS), replace(ONE, evidence=evidence))


def test_partial(tmp_path: Path) -> None:
    assert partial(None) is None
    assert partial(of(1.0, tmp_path)) is None
    assert partial(of(None, tmp_path)) is None
    told = partial(of(0.5904, tmp_path))
    assert told == (
        "the image holds 59.0 % of the RAM (4,096 bytes are missing): what lay in the rest is in no answer, and that "
        "something is absent proves nothing"
    )


def test_images_of_a_hunt() -> None:
    images = (ImageAnswer("a", "n", 1, 1, 1, 1.0, ram_share=1.0), ImageAnswer("b", "n", 1, 1, 1, 1.0, ram_share=0.25),
              ImageAnswer("c", None, 0, 0, 0, 0.0, error="torn"))  # fmt: skip
    hunt = HuntFacts(RulesUsed((), 1), "all", (), 1, 1, {}, images=images)
    record = CaseRecord(2, "0", "now", images=("a", "b", "c"), runs=(Run("h", "hunt", 1.0, hunt=hunt),))
    assert str(partial(record)).startswith(
        "2 of 3 images do not hold all of their node's RAM (b 25.0 %, c could not be read): what lay"
    )
    whole = replace(hunt, images=images[:1])
    assert partial(replace(record, runs=(Run("h", "hunt", 1.0, hunt=whole),))) is None


def test_percent() -> None:
    assert [percent(share) for share in (1.0, 0.99999, 0.894, 0.0)] == ["100.0 %", "99.9 %", "89.4 %", "0.0 %"]


def test_gap_words() -> None:
    """Bytes and tasks are never added together; what RAM is missing comes first."""
    assert gap_words(GAPS) == "4,096 of RAM (bytes of System RAM that the image lacks); 3 of task (why)"
    assert gap_words(()) == ""
    rows = [{"kind": f"k{number}", "why": "w", "count": 1} for number in range(6)]
    assert gap_words(rows).endswith("1 of k3 (w); and 2 more")


def test_gap_table(tmp_path: Path) -> None:
    assert gap_table(None).num_rows == 0
    record = of(1.0, tmp_path)
    assert gap_table(record).to_pylist()[1] == {
        "kind": "RAM", "count": 4096, "why": "bytes of System RAM that the image lacks", "example": "from 0x2",
    }  # fmt: skip
    answer = Case(tmp_path / "1.0").sql("select sum(count) as n from gaps where kind = 'task'")
    assert answer.dicts() == [{"n": 3}]
