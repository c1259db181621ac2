# SPDX-License-Identifier: Apache-2.0
"""case.json after one run and another, and the schema in docs."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from memir.case.identity import Identity
from memir.case.record import CaseRecord, Facts, HuntFacts, RulesUsed, Run, merged_gaps, updated
from memir.documents import schema
from memir.gaps import Gap
from tests.images import ROOT

SCHEMAS = ROOT / "docs" / "schemas"
IDENTITY = Identity("ab" * 20, None, ((0, 4096),), 7, None)


def made() -> CaseRecord:
    hunt = HuntFacts(RulesUsed(("a.yar",), 1, ("note",)), "region", ("free",), 2, 3, {"free": 4096})
    first = updated(
        None, Run("analyze", "analyze", 1.0, tables={"processes": 5}), Facts(IDENTITY, node="n"), {"processes": 5}
    )
    run = Run("00ff", "hunt", 2.0, gaps=(Gap("task", "0x1", "not readable", 4),), hunt=hunt)
    return updated(first, run, Facts(IDENTITY), {"hits": 3})


def full() -> dict[str, Any]:
    return made().to_json()


def test_what_a_run_adds() -> None:
    record = made()
    assert (record.schema, record.node, record.identity) == (2, "n", IDENTITY)
    assert record.tables == {"processes": 5, "hits": 3}
    assert [run.run for run in record.runs] == ["analyze", "00ff"]


def test_the_same_run_takes_its_own_place_and_gaps_do_not_double() -> None:
    record = made()
    again = record.with_run(Run("00ff", "hunt", 9.0, gaps=(Gap("task", "0x2", "not readable", 4),)))
    assert [(run.run, run.seconds) for run in again.runs] == [("analyze", 1.0), ("00ff", 9.0)]
    assert again.gaps == (Gap("task", "0x2", "not readable", 4),)
    other = again.with_run(Run("1234", "hunt", 1.0, gaps=(Gap("task", "0x3", "not readable", 6), Gap("x", "", "y"))))
    assert other.gaps == (Gap("task", "0x3", "not readable", 6), Gap("x", "", "y"))
    assert merged_gaps([]) == ()


def test_the_schema_in_docs_is_that_of_the_code() -> None:
    document = schema(CaseRecord, "case.json of memir, schema version 2")
    assert json.loads((SCHEMAS / "case.schema.json").read_text()) == json.loads(json.dumps(document)), (
        "write it again: python -m tests.case.test_record"
    )
    jsonschema.Draft202012Validator(document).validate(json.loads(json.dumps(full())))


if __name__ == "__main__":
    text = json.dumps(schema(CaseRecord, "case.json of memir, schema version 2"), indent=2) + "\n"
    (SCHEMAS / "case.schema.json").write_text(text)
