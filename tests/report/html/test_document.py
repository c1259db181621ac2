# SPDX-License-Identifier: Apache-2.0
"""The HTML file: its policy, its inert data, its size, and what its head says of the case."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import memir
from memir.case.case import Case
from memir.errors import CaseError
from memir.report.html.document import head_of, html_parts, page_parts
from tests.case.test_case import ANALYSIS, ONE
from tests.report.html.hostile import hostile_case


def made(case: Case, **options: Any) -> str:
    return b"".join(html_parts(case, **options)).decode()


def head(page: str) -> Any:
    match = re.search(r'<script type="application/json" id="head">([^<]*)</script>', page)
    assert match is not None
    return json.loads(match.group(1))


def test_the_policy_names_the_bytes_that_run(page_file: Path) -> None:
    page = page_file.read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    style, script = (
        re.search(r"<style>(.*?)</style>", page, re.S),
        re.search(r"<script>(.*)</script>\n</body>", page, re.S),
    )
    assert style is not None and script is not None

    def word(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    assert policy.group(1) == (
        f"default-src 'none'; script-src {word(script.group(1))}; style-src {word(style.group(1))}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    assert "</script" not in script.group(1) and "http://www" not in re.sub(
        r"http://www\.w3\.org/\S*", "", script.group(1)
    )


def test_the_head_says_what_the_case_says(intruded: Path, page_file: Path) -> None:
    case, told = memir.Case(intruded), head(page_file.read_text())
    rows = case["findings"].to_pylist()
    assert [row["id"] for row in told["findings"]] == [row["id"] for row in rows]
    assert {table["name"]: table["rows"] for table in told["tables"] if table["name"] != "timeline"} == {
        name: case[name].num_rows for name in case.tables
    }
    assert case.record is not None
    assert told["node"] == case.record.node and told["whole"] is True
    assert told["clock"].endswith("UTC by the image's own clock")
    assert told["coverage"].startswith("100.0 % of the node's RAM is in the image")
    assert told["custody"]["holds"] is True and len(told["custody"]["entries"]) == 2
    assert [run["command"] for run in told["methods"]["runs"]] == ["analyze", "hunt"]
    assert not {each["kind"] for each in told["clean"]} & {row["kind"] for row in rows}
    assert "secret_values" not in {table["name"] for table in told["tables"]}
    assert told["record"]["kernel"]["direct_map"].startswith("0xffff")


def test_hostile_text_ends_no_element(tmp_path: Path) -> None:
    page = made(memir.Case(hostile_case(tmp_path / "case", rows=22)))
    outside = re.sub(
        r"<script>.*</script>\n</body>", "", re.sub(r"<style>.*?</style>", "", page, flags=re.S), flags=re.S
    )
    assert set(re.findall(r"<(/?[a-z]+)", outside)) == {
        "html", "head", "meta", "title", "/title", "/head", "body", "div", "noscript", "/noscript", "/div", "script",
        "/script", "/html",
    }  # fmt: skip


def test_a_table_with_a_hostile_name(tmp_path: Path) -> None:
    case = Case.create(tmp_path / "case")
    case.add_tables({"processes": pa.table({"pid": [1]})}, ANALYSIS, ONE)
    record = head_of(case, {}, None)
    page = b"".join(page_parts(record, {'x"><img src=1>': pa.table({"a": [1]})})).decode()
    assert "<img" not in page and 'id="table-x&quot;&gt;&lt;img src=1&gt;"' in page


def test_severity_and_cases_without_findings(intruded: Path, tmp_path: Path) -> None:
    told = head(made(memir.Case(intruded), severity="critical"))
    assert told["findings"] == [row for row in told["findings"] if row["severity"] == "critical"]
    case = Case.create(tmp_path / "case")
    with pytest.raises(CaseError, match="no analysis has ended in it"):
        list(html_parts(case))
    case.add_tables({"processes": pa.table({"pid": [1]})}, ANALYSIS, ONE)
    told = head(made(Case(tmp_path / "case")))
    assert told["findings"] == [] and told["whole"] is False and told["kernel"] is None
    assert told["coverage"] == "How much of the node's RAM the image holds is not known"
