# SPDX-License-Identifier: Apache-2.0
"""OCSF's own schema takes every finding, with nothing that it does not know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import ocsf_json_schema
import pytest

from memir.case.case import Case
from memir.findings.table import TABLE
from memir.report.formats.ocsf import FORMAT, VERSION
from memir.report.registry import Options
from tests.case.test_case import ANALYSIS, ONE
from tests.findings.real import INTRUDED, every


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    case = Case.create(tmp_path_factory.mktemp("case") / "case")
    case.add_tables({"findings": TABLE.rows(every(INTRUDED))}, ANALYSIS, ONE)
    text = b"".join(FORMAT.parts(case, Options())).decode("ascii")
    return [json.loads(line) for line in text.splitlines()]


def test_the_schema_takes_all(documents: list[dict[str, Any]]) -> None:
    schema = ocsf_json_schema.OcsfJsonSchemaEmbedded(ocsf_json_schema.get_ocsf_schema(version=VERSION))
    validator = jsonschema.Draft202012Validator(schema.get_class_schema("detection_finding"))
    wrong = [
        (document["message"], error.message) for document in documents for error in validator.iter_errors(document)
    ]
    assert wrong == [] and len(documents) == len(every(INTRUDED))
    assert list(validator.iter_errors(documents[0] | {"severity_id": "high", "word": 1})) != [], "it does judge"


def test_values(documents: list[dict[str, Any]]) -> None:
    for row, document in zip(every(INTRUDED), documents, strict=True):
        assert document["finding_info"]["uid"] == document["metadata"]["uid"] == row["id"]
        assert document["severity"] == ("Informational" if row["severity"] == "info" else row["severity"].capitalize())
        assert document["time"] == round(row["first_seen"].timestamp() * 1000) if row["first_seen"] else True
        data = [entry["data"] for entry in document["evidences"] if "data" in entry]
        assert data == [{"table": proof["table"], "where": proof["key"]} for proof in row["evidence"]]
        pods = [entry["uid"] for entry in document["resources"] if entry.get("type") == "Kubernetes Pod"]
        assert pods == ([row["pod_uid"]] if row["pod_uid"] else [])
    (deleted, *_) = (each for each in documents if each["finding_info"]["types"] == ["deleted-executable"])
    assert deleted["finding_info"]["attacks"] == [{
        "version": "18.1", "tactic": {"uid": "TA0005", "name": "Defense Evasion"}, "technique": {"uid": "T1070"},
        "sub_technique": {"uid": "T1070.004", "name": "File Deletion"},
    }]  # fmt: skip


def test_without_a_time(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    nobody = dict.fromkeys(("first_seen", "pod_uid", "pod_name", "container_id", "container_name", "node"))
    row = {**every(INTRUDED)[0], "severity": "high", **nobody}
    case.add_tables({"findings": TABLE.rows([row])}, ANALYSIS, ONE)
    document = json.loads(b"".join(FORMAT.parts(case, Options())))
    assert document["time"] == 0, "the image's clock, 7 ns since 1970"
    assert document["resources"] == [{"type": "Memory image", "name": "name not known"}]
    assert list(FORMAT.parts(case, Options("critical"))) == []
