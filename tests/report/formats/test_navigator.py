# SPDX-License-Identifier: Apache-2.0
"""A layer as ATT&CK Navigator's format 4.5 describes it."""

from __future__ import annotations

import json
from pathlib import Path

from memir.case.case import Case
from memir.findings.finding import SEVERITIES
from memir.findings.table import TABLE
from memir.report.formats.navigator import FORMAT
from memir.report.registry import Options
from tests.case.test_case import ANALYSIS, ONE
from tests.findings.real import INTRUDED, every

LAYER = {
    "name", "versions", "domain", "description", "filters", "sorting", "layout", "hideDisabled", "techniques",
    "gradient", "legendItems", "metadata", "links", "showTacticRowBackground", "tacticRowBackground",
    "selectTechniquesAcrossTactics", "selectSubtechniquesWithParent", "selectVisibleTechniques", "customDataURL",
}  # fmt: skip
TECHNIQUE = {
    "techniqueID", "tactic", "comment", "enabled", "score", "color", "metadata", "links", "showSubtechniques",
}  # fmt: skip
"""Properties of layerformat.md, version 4.5."""


def test_a_layer(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    case.add_tables({"findings": TABLE.rows(every(INTRUDED))}, ANALYSIS, ONE)
    layer = json.loads(b"".join(FORMAT.parts(case, Options())).decode("ascii"))
    assert set(layer) <= LAYER and layer["versions"] == {"attack": "18", "navigator": "5.1.0", "layer": "4.5"}
    assert layer["domain"] == "enterprise-attack" and layer["name"] == "memir: n"
    techniques = {each["techniqueID"]: each for each in layer["techniques"]}
    assert all(set(each) <= TECHNIQUE for each in layer["techniques"])
    for number, each in techniques.items():
        rows = [row for row in every(INTRUDED) if row["technique"] == number]
        assert SEVERITIES[each["score"]] == max((row["severity"] for row in rows), key=SEVERITIES.index)
        assert each["metadata"][0] == {"name": "findings", "value": str(len(rows))}
        assert each["comment"].count("\n") == min(len(rows), 20) - 1 + (len(rows) > 20)
    assert set(techniques) == {row["technique"] for row in every(INTRUDED)}
    worst = json.loads(b"".join(FORMAT.parts(case, Options("critical"))))["techniques"]
    assert {each["techniqueID"] for each in worst} == {
        row["technique"] for row in every(INTRUDED) if row["severity"] == "critical"
    }
