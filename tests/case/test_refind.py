# SPDX-License-Identifier: Apache-2.0
"""A hunt into an analysed case makes the findings again, with its hits, and seals them."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path

import memir
from memir.case.case import Case
from memir.case.record import Facts, Run
from memir.case.refind import findings_with, image_facts
from memir.case.verify import verify
from memir.hunt.hits import TABLE as HITS
from tests.case.test_case import ANALYSIS, ONE, processes
from tests.findings.real import SMALL, every, node
from tests.images import cache, case

RULE = 'rule Miner_Planted { strings: $a = "MEMIR-HEAP-SECRET-" condition: $a }'


def test_a_hunt_after_an_analysis(tmp_path: Path) -> None:
    folder = tmp_path / "case"
    memir.analyze(case(SMALL).image, folder, cache=cache())
    before = Case(folder)["findings"].to_pylist()
    (tmp_path / "miner.yar").write_text(RULE)
    memir.hunt_image(case(SMALL).image, tmp_path / "miner.yar", folder, given={"cache": cache()})
    after = Case(folder)["findings"].to_pylist()
    (fresh,) = (row for row in after if row["id"] not in {old["id"] for old in before})
    assert (fresh["kind"], fresh["severity"], fresh["pod_name"]) == ("miner", "high", "miner-0")
    assert fresh["reason"] == "the rule Miner_Planted matches its memory"
    assert {row["id"] for row in before} < {row["id"] for row in after}
    listed = json.loads((folder / "findings.json").read_text())
    assert [row["id"] for row in listed] == [row["id"] for row in after]
    assert not verify(folder).problems
    memir.hunt_image(case(SMALL).image, tmp_path / "miner.yar", folder, given={"cache": cache()})
    assert [row["id"] for row in Case(folder)["findings"].to_pylist()] == [row["id"] for row in after]


def test_a_case_that_nobody_analysed(tmp_path: Path) -> None:
    opened = Case.create(tmp_path / "case")
    opened.add_tables({"processes": processes(1)}, ANALYSIS, ONE)
    assert findings_with(opened, {"hits": HITS.rows([]).to_arrow()}, "r") is None


def test_findings_with_rows_of_a_run(tmp_path: Path) -> None:
    opened = Case.create(tmp_path / "case")
    tables = {name: node(SMALL)[0][name] for name in ("processes", "containers", "pods")}
    rows = [row for row in every(SMALL) if row["kind"] == "deleted-executable"]
    from memir.findings.table import TABLE

    opened.add_tables({**tables, "findings": TABLE.rows(rows)}, ANALYSIS, ONE)
    hit = {"hit_id": "1", "rule": "Xmr", "pid": 190, "tags": [], "meta": []}
    again = findings_with(opened, {"hits": HITS.rows([hit]).to_arrow()}, "r")
    assert again is not None and ("miner", 190) in {(row["kind"], row["pid"]) for row in again.rows()}


def test_image_facts(tmp_path: Path) -> None:
    assert image_facts(None).clock is None
    opened = Case.create(tmp_path / "case")
    memir_run = Run("analyze", "analyze", 1.0)
    record = opened.add_tables({"processes": processes(1)}, memir_run, Facts(ONE.identity, node="n"))
    assert image_facts(record).node == "n"
    with case(SMALL).open() as memory:
        from memir.case.facts import facts_of
        from memir.kernel.engine import Kernel
        from memir.symbols.locate import locate

        facts = facts_of(Kernel(memory, locate(memory)), node="m")
    known = Case.create(tmp_path / "real").add_tables({"processes": processes(1)}, memir_run, facts)
    clock = image_facts(known).clock
    assert clock is not None and clock.tzinfo is not None and clock.astimezone(UTC).strftime("%F") == "2026-11-23"
