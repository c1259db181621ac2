# SPDX-License-Identifier: Apache-2.0
"""Units as YARA sees them: order, borders, empty pages, sizes, limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memir.gaps import Gaps
from memir.hunt import hit as hits
from memir.hunt import scan as scanning
from memir.hunt.rules import RuleSet, load_rules
from memir.hunt.scan import Hit, Scan
from memir.hunt.units import Unit
from tests.hunt.hunting import PAGE, frames, ram, rules, strings


def unit(place: list[int], pfn: list[int], span: int | None = None, **more: Any) -> Unit:
    return Unit("process", "unit", np.array(place, np.int64), frames(*pfn), span or place[-1] + 1, **more)


def scan(memory: Any, ruleset: RuleSet, *units: Unit, **options: Any) -> tuple[list[Hit], Gaps]:
    gaps = Gaps()
    one = Scan(memory, ruleset, gaps, **options)
    one.run(units, 2)
    return sorted(one.hits.values(), key=lambda hit: (hit.rule, hit.paddr)), gaps


def test_a_string_over_pages_that_lie_apart(tmp_path: Path) -> None:
    memory = ram({10: b"x" * (PAGE - 4) + b"STRA", 20: b"xDDLEx", 21: b"DDLE"})
    ruleset = strings(tmp_path, "STRADDLE")
    assert scan(memory, ruleset, unit([0, 1], [10, 20]))[0] == []
    found, gaps = scan(memory, ruleset, unit([0, 1], [10, 21], mms=[3]))
    assert [(hit.paddr, hit.pages, hit.length, hit.data, hit.mms) for hit in found] == [
        (11 * PAGE - 4, (10, 21), 8, b"STRADDLE", {3})
    ]
    assert found[0].before.endswith(b"xxxx") and not found[0].after.strip(b"\0") and not len(gaps)


def test_neighbours_in_a_window_that_are_none_in_ram(tmp_path: Path) -> None:
    memory = ram({10: b"x" * (PAGE - 4) + b"STRA", 11: b"DDLE", 20: b"x" * (PAGE - 4) + b"STRA", 30: b"DDLE STRADDLE"})
    found, _ = scan(memory, strings(tmp_path, "STRADDLE"), unit([0, 1, 2, 3], [10, 11, 20, 30], joined=False))
    assert [hit.pages for hit in found] == [(10, 11), (30,)]


def test_empty_pages_keep_strings_apart(tmp_path: Path) -> None:
    memory = ram({10: b"x" * (PAGE - 4) + b"STRA", 11: b"DDLE"})
    apart = unit([0, 5], [10, 11])
    assert scan(memory, strings(tmp_path, "STRADDLE"), apart)[0] == []


POSITIONAL = """
rule At { strings: $a = "MARK" condition: $a at 0x5002 }
rule Size { strings: $a = "MARK" condition: $a and filesize == 0x7000 }
rule Word { condition: uint32(0x5002) == 0x4b52414d }
rule Far { strings: $a = "MARK" $b = "HEAD" condition: @a[1] - @b[1] == 0x5002 }
"""


@pytest.mark.parametrize("callback", [0, 1e9])
def test_offsets_and_sizes_are_those_of_the_whole_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, callback: float
) -> None:
    monkeypatch.setattr(scanning, "_CALLBACK_SECONDS", callback)  # with and without a first look
    memory = ram({10: b"HEAD", 11: b"xxMARK"})
    found, _ = scan(memory, rules(tmp_path, POSITIONAL), unit([0, 5], [10, 11], 7))
    assert {hit.rule for hit in found} == {"At", "Size", "Far", "Word"}
    assert {hit.paddr for hit in found if hit.string == "$a"} == {11 * PAGE + 2}


def test_a_region_too_sparse_to_be_seen_whole_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "LIMIT", 8)
    memory = ram({10: b"HEAD", 11: b"xxMARK"})
    ruleset = rules(tmp_path, 'rule R { strings: $a = "MARK" condition: $a and filesize < 1MB }')
    found, gaps = scan(memory, ruleset, unit([0, 1 << 30], [10, 11]))
    assert [hit.paddr for hit in found] == [11 * PAGE + 2]
    assert ["too sparse" in gap.why for gap in gaps] == [True]


def test_conditions_hold_over_a_unit_larger_than_yara_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "LIMIT", 12)
    content = {at: b"filler %d" % at for at in range(100, 140)}
    content[101] = b"FIRST"
    content[119] = b"x" * (PAGE - 3) + b"SEC"
    content[120] = b"OND"
    text = """
    rule Both { strings: $a = "FIRST" $b = "SECOND" condition: all of them }
    rule No { strings: $a = "FIRST" $b = "NOWHERE" condition: all of them }
    """
    found, gaps = scan(ram(content), rules(tmp_path, text), unit(list(range(40)), list(range(100, 140))))
    assert [(hit.rule, hit.string, hit.pages) for hit in found] == [("Both", "$a", (101,)), ("Both", "$b", (119, 120))]
    assert not len(gaps)


def test_a_rule_that_asks_for_no_string_is_a_hit_of_the_unit(tmp_path: Path) -> None:
    found, _ = scan(ram({10: b"x"}), rules(tmp_path, "rule R { condition: filesize > 1 }"), unit([0], [10]))
    assert [(hit.string, hit.paddr, hit.length) for hit in found] == [(None, 10 * PAGE, 0)]


def test_hits_of_one_string_are_bounded_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MAX_INSTANCES", 5)
    found, gaps = scan(ram({10: b"AB" * 20}), strings(tmp_path, "AB"), unit([0], [10]))
    assert len(found) == 5
    assert [(gap.count, gap.why) for gap in gaps] == [(15, "more than 5 matches of a string in a unit")]


def test_matched_bytes_are_bounded(tmp_path: Path) -> None:
    found, _ = scan(
        ram({10: b"x" * 3000}), rules(tmp_path, "rule R { strings: $a = /x{900}/ condition: $a }"), unit([0], [10])
    )
    assert {hit.length for hit in found} == {900} and {len(hit.data) for hit in found} == {hits.MAX_DATA}


def test_the_same_hit_in_two_units_is_one(tmp_path: Path) -> None:
    memory = ram({10: b"MARK", 11: b"y", 12: b"z"})
    units = [unit([0, 1], [10, 11], mms=[0]), unit([0, 1], [10, 12], mms=[1, 2])]
    found, _ = scan(memory, strings(tmp_path, "MARK"), *units)
    assert [hit.mms for hit in found] == [{0, 1, 2}]
    found, _ = scan(memory, strings(tmp_path, "MARK"), *units, unit([0], [10]))
    assert [hit.mms for hit in found] == [None]


def test_meta_tags_and_externals(tmp_path: Path) -> None:
    text = 'rule R : t1 t2 { meta: a = "b" n = 3 yes = true strings: $a = "x" condition: $a and wanted == 7 }'
    found, _ = scan(ram({10: b"x"}), rules(tmp_path, text, wanted=7), unit([0], [10]))
    assert (found[0].tags, found[0].meta) == (("t1", "t2"), (("a", "b"), ("n", "3"), ("yes", "true")))


def test_pages_that_are_gone_are_counted(tmp_path: Path) -> None:
    found, gaps = scan(ram({10: b"MARK"}), strings(tmp_path, "MARK"), unit([0, 1], [10, 99]))
    assert len(found) == 1 and [(gap.why, gap.count) for gap in gaps] == [("page not in the image", 1)]


def test_small_units_together_give_what_each_gives(tmp_path: Path) -> None:
    content = dict.fromkeys(range(400), b"nothing") | {
        17: b"ab NEEDLE-A",
        18: b"NEEDLE-B",
        90: b"NEEDLE-A",
        399: b"NEEDLE-B",
    }
    text = (
        'rule Both { strings: $a = "NEEDLE-A" $b = "NEEDLE-B" condition: all of them }'
        'rule B { strings: $a = "NEEDLE-B" condition: $a }'
    )
    ruleset = rules(tmp_path, text)
    units = [unit([0, 1], [at, at + 1], mms=[at]) for at in range(1, 399, 2)]
    one, many = Scan(ram(content), ruleset, Gaps()), Scan(ram(content), ruleset, Gaps())
    for part in units:
        one.scan(part)
    many.run(units, 2)
    assert set(many.hits) == set(one.hits) and many.scanned == one.scanned
    assert {(hit.rule, hit.pages) for hit in many.hits.values()} == {
        ("Both", (17,)), ("Both", (18,)), ("B", (18,)),
    }  # fmt: skip  # 90 and 399 are in other units than their partners


def test_rules_that_match_everywhere_are_not_looked_for_twice(tmp_path: Path) -> None:
    content = dict.fromkeys(range(4096), b"common")
    scan = Scan(ram(content), strings(tmp_path, "common"), Gaps())
    scan.run([unit([0], [at], mms=[at]) for at in range(4096)], 1)
    assert len(scan.hits) == 4096 and scan.scanned == 4096 * 4096


def test_a_rule_that_matches_everywhere_is_bounded_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MAX_HITS", 100)
    units = [unit([0], [at], mms=[at]) for at in range(20)]
    found, gaps = scan(ram(dict.fromkeys(range(20), b"e" * 30)), strings(tmp_path, "e"), *units)
    assert {hit.pages[0] for hit in found} == set(range(20)) and 100 <= len(found) <= 100 + 20
    assert [(gap.why, gap.count) for gap in gaps] == [
        ("more than 100 hits: of each further unit only the first", 600 - len(found))
    ]


def test_hits_carry_the_file_of_their_rule(tmp_path: Path) -> None:
    (tmp_path / "a.yar").write_text('rule Base { strings: $a = "MARK" condition: $a }')
    (tmp_path / "b.yar").write_text('rule Uses { strings: $b = "MARK" condition: $b and Base }')
    found, _ = scan(ram({10: b"MARK"}), load_rules([tmp_path]), unit([0], [10]))
    assert {(hit.rule, hit.rule_namespace) for hit in found} == {("Base", "a.yar"), ("Uses", "b.yar")}
