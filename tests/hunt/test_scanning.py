# SPDX-License-Identifier: Apache-2.0
"""How far a scan is, what an interruption leaves, and rules that were left out."""

from __future__ import annotations

from pathlib import Path

from memir.checkpoint.source import CheckpointSource
from memir.hunt.checkpoint import units_of
from memir.hunt.rules import load_rules
from memir.hunt.scan import Scan
from memir.hunt.scanning import scan_units, tell_left_out
from tests.checkpoint.sample import archive


def test_scan_units(tmp_path: Path) -> None:
    (tmp_path / "a.yar").write_text('rule marker { strings: $a = "MEMIR-MARKER-42-IN-HEAP" condition: $a }')
    source = CheckpointSource(archive())
    units = [unit for process in source.tree.processes for unit in units_of(source, process)]
    total = sum(unit.size for unit in units)
    steps: list[tuple[str, int, int]] = []
    scan = Scan(source.tree.pages, load_rules([tmp_path / "a.yar"]), source.gaps)
    assert not scan_units(scan, units, 1, lambda *step: steps.append(step), "bytes of memory")
    assert steps[-1] == ("hunting", total, total)
    assert scan.hits

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    again = Scan(source.tree.pages, load_rules([tmp_path / "a.yar"]), source.gaps)
    assert scan_units(again, units, 1, interrupt, "bytes of memory")
    assert again.hits.keys() <= scan.hits.keys()


def test_rules_that_were_left_out(tmp_path: Path) -> None:
    (tmp_path / "good.yar").write_text("rule good { condition: true }")
    (tmp_path / "bad.yar").write_text("rule bad { condition: nosuch }")
    rules = load_rules([tmp_path], skip_bad=True)
    source = CheckpointSource(archive())
    tell_left_out(rules, source.gaps)
    (gap,) = [gap for gap in source.gaps if gap.kind == "rules"]
    assert gap.where.endswith("bad.yar:1")
    assert gap.why.startswith("left out: undefined identifier")
