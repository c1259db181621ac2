# SPDX-License-Identifier: Apache-2.0
"""Every field of an alert is one of the Elastic Common Schema's, and of its type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memir.case.case import Case
from memir.findings.table import TABLE
from memir.report.formats.ecs import FORMAT, VERSION
from memir.report.registry import Options
from tests.case.test_case import ANALYSIS, ONE
from tests.findings.real import INTRUDED, every

FIELDS = Path(__file__).parents[1] / "data" / f"ecs-{VERSION}.tsv"
"""Name and type of fields, as the package @elastic/ecs of that version lists them (field sets that are used here)."""
TYPES = {"keyword": str, "wildcard": str, "text": str, "match_only_text": str, "date": str, "long": int}


@pytest.fixture
def documents(tmp_path: Path) -> list[dict[str, Any]]:
    case = Case.create(tmp_path / "case")
    case.add_tables({"findings": TABLE.rows(every(INTRUDED))}, ANALYSIS, ONE)
    return [json.loads(line) for line in b"".join(FORMAT.parts(case, Options())).decode("ascii").splitlines()]


def flat(document: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def test_fields_are_those_of_the_schema(documents: list[dict[str, Any]]) -> None:
    known = dict(line.split("\t") for line in FIELDS.read_text().splitlines())
    assert len(documents) == len(every(INTRUDED)) and len(known) > 200
    for document in documents:
        for name, value in flat({key: part for key, part in document.items() if key != "memir"}):
            kind = TYPES[known[name]]
            assert all(isinstance(each, kind) for each in (value if isinstance(value, list) else [value])), name


def test_values(documents: list[dict[str, Any]]) -> None:
    for row, document in zip(every(INTRUDED), documents, strict=True):
        assert (document["event"]["id"], document["rule"]["id"]) == (row["id"], row["kind"])
        assert document["event"]["kind"] == "alert" and document["memir"]["evidence"] == row["evidence"]
        assert document.get("process", {}).get("pid") == row["pid"]
        assert document.get("orchestrator", {}).get("resource", {}).get("id") == row["pod_uid"]
        assert document["@timestamp"] == (
            row["first_seen"].isoformat() if row["first_seen"] else document["@timestamp"]
        )
    (memfd, *_) = (each for each in documents if each["rule"]["id"] == "memfd-executable")
    assert memfd["threat"] == {
        "framework": "MITRE ATT&CK", "tactic": {"id": ["TA0005"], "name": ["Defense Evasion"]},
        "technique": {"id": ["T1620"], "name": ["Reflective Code Loading"]},
    }  # fmt: skip
