# SPDX-License-Identifier: Apache-2.0
"""Hostile rules end, and what they did is told."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import yara

from memir.gaps import Gaps
from memir.hunt.rules import load_rules
from memir.hunt.scan import Scan
from memir.hunt.timeouts import STRIKES
from memir.hunt.units import Unit
from tests.hunt.hunting import frames, ram, rules

HOSTILE = """
rule Good { strings: $a = "MARK" condition: $a }
rule Loop { condition: for any i in (0..100000000000) : (i == -1) }
rule Also { strings: $a = "MAR" condition: $a }
"""
MEMORY = {at: b"xxMARKxx %d" % at for at in range(10, 20)}


def units(count: int) -> list[Unit]:
    return [Unit("process", f"process {at}", np.zeros(1, np.int64), frames(10 + at), 1) for at in range(count)]


def test_a_rule_without_end_is_found_out_and_set_aside(tmp_path: Path) -> None:
    gaps = Gaps()
    scan = Scan(ram(MEMORY), rules(tmp_path, HOSTILE), gaps, timeout=1)
    begun = time.monotonic()
    scan.run(units(10), 2)
    assert time.monotonic() - begun < 60
    assert {(hit.rule, hit.pages) for hit in scan.hits.values()} == {
        (rule, (10 + at,)) for rule in ("Good", "Also") for at in range(10)
    }
    said = {gap.why: gap for gap in gaps}
    slow = said["rule Loop of rules.yar took longer than 1 s"]
    assert slow.count == STRIKES and slow.where.startswith("process ")
    assert f"rule Loop of rules.yar was set aside after {STRIKES} such units" in said
    assert len(said) == 2


def test_compiled_rules_without_end_are_set_aside_as_a_whole(tmp_path: Path) -> None:
    yara.compile(source=HOSTILE).save(str(tmp_path / "c.yarc"))
    (tmp_path / "fine.yar").write_text('rule Fine { strings: $a = "MARK" condition: $a }')
    gaps = Gaps()
    scan = Scan(ram(MEMORY), load_rules([tmp_path]), gaps, timeout=1)
    scan.run(units(6), 1)
    assert {(hit.rule, hit.pages[0]) for hit in scan.hits.values()} == {("Fine", 10 + at) for at in range(6)}
    assert {gap.why: gap.count for gap in gaps} == {
        "rules took longer than 1 s": STRIKES,
        f"all rules of set 1 were set aside after {STRIKES} such units": 1,
    }


def test_catastrophic_regular_expressions_end(tmp_path: Path) -> None:
    memory = ram(dict.fromkeys(range(10, 40), b"A" * 4096))
    text = "rule Slow { strings: $a = /(A.{0,90}){30}B/ $b = /(A+A+)+C/ condition: any of them }"
    whole = Unit("process", "process 7 region 0x1000-0x1f000", np.arange(30), np.arange(10, 40, dtype=np.uint64), 30)
    gaps = Gaps()
    begun = time.monotonic()
    Scan(memory, rules(tmp_path, text), gaps, timeout=1).run([whole], 1)
    assert time.monotonic() - begun < 120
    assert all(gap.where.startswith(whole.name) for gap in gaps)
