# SPDX-License-Identifier: Apache-2.0
"""Logs read beside a case that was written before."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import memir
from memir.case.case import Case
from memir.case.logs import clocks, findings_with, image_facts, read_logs, tables_of
from memir.case.timeline import timeline
from memir.errors import CaseError, LogsError
from memir.logs.source import LogSource
from tests.case.test_case import ANALYSIS, ONE, processes
from tests.findings.real import NODE, on_the_node
from tests.images import case as image_case
from tests.logs.made import audit, exec_of, written

API, START = "api-58f6c9d7b4-q8xkz", datetime(2026, 11, 20, 10, 1, 56, 209892, UTC)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("logs") / "case"
    with memir.open(str(image_case("s-6.12-intruded").image)) as node:
        node.save(folder)
    return Case(folder)


def _log(folder: Path, behind: float = 0) -> Path:
    time = (START - timedelta(seconds=behind + 0.1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    event = exec_of("shop", API, "command=cat&container=api", time, "1")
    return written(folder, "a", event, audit(objectRef={"resource": "nodes"}), "broken")


def test_findings(case: Case, tmp_path: Path) -> None:
    before = case["findings"].to_pylist()
    source = read_logs(case, [_log(tmp_path)])
    rows = findings_with(case, source).rows()
    more = [row for row in rows if row["kind"] == "api-session"]
    assert [(row["severity"], row["pid"], row["pod_name"]) for row in more] == [("medium", 279, API)]
    assert {row["id"] for row in rows} - {row["id"] for row in more} == {row["id"] for row in before}
    assert case.findings(logs=[_log(tmp_path)]).num_rows == len(rows)
    assert case.findings().to_pylist() == Case(case.folder)["findings"].to_pylist() == before
    assert "audit" not in case.tables


def test_timeline(case: Case, tmp_path: Path) -> None:
    log = _log(tmp_path)
    rows = case.timeline(logs=[log], pod=f"shop/{API}").rows
    kinds = [row[1] for row in rows]
    session = kinds.index("session")
    assert rows[session][0] == START - timedelta(seconds=0.1)
    (cat,) = [number for number, row in enumerate(rows) if row[1] == "process-start" and "pid 279 cat" in row[2]]
    assert session < cat
    assert case.timeline(logs=[log], kinds=("audit-read",)).rows[0][2] == "alice from 203.0.113.7: get nodes , HTTP 200"
    assert "audit-read" not in {row[1] for row in case.timeline(logs=[log]).rows}
    late = case.timeline(logs=[log], begin=START, kinds=("session",)).rows
    assert late == []


def test_facts(case: Case, tmp_path: Path) -> None:
    facts = image_facts(case)
    assert facts.clock == datetime(2026, 11, 20, 10, 3, 42, 668000, UTC)
    source = read_logs(case, [_log(tmp_path)])
    assert set(tables_of(source)) == {"audit", "sessions"}
    assert len(image_facts(case, source).gaps) == len(facts.gaps) + 1


def test_clocks(case: Case, tmp_path: Path) -> None:
    by = "by 1 session whose process is still there"
    assert clocks(read_logs(case, [_log(tmp_path)])) == (
        f"the API server's clock and the node's are less than 5 s apart, {by}"
    )
    assert (
        clocks(read_logs(case, [_log(tmp_path, 60)])) == f"the node's clock is 60.1 s ahead of the API server's, {by}"
    )
    assert clocks(read_logs(case, [_log(tmp_path, -60)])) == f"the node's clock is 59.9 s behind the API server's, {by}"
    assert clocks(LogSource([_log(tmp_path)])) is None


def test_what_is_wrong(case: Case, tmp_path: Path) -> None:
    with pytest.raises(LogsError, match="there is no such file or folder"):
        case.timeline(logs=[tmp_path / "absent"])
    bare = Case.create(tmp_path / "bare")
    bare.add_tables({"processes": processes(1)}, ANALYSIS, ONE)
    with pytest.raises(CaseError, match=re.escape(f"`memir analyze IMAGE -o {tmp_path / 'bare'} --force` makes them")):
        findings_with(bare, read_logs(bare, [_log(tmp_path)]))


@on_the_node
def test_the_real_log_in_the_timeline(tmp_path: Path) -> None:
    """Each event of the audit log stands at the log's own time; the sessions stand before what they started."""
    log = image_case(NODE).beside("audit.log.gz")
    with memir.open(str(image_case(NODE).image), cluster=image_case(NODE).beside("pods.json"), logs=[log]) as node:
        node.save(tmp_path / "case")
        stamps = sorted(row["time"] for row in node["audit"] if row["stage"] == "ResponseComplete")
    kinds = ("session", "audit", "audit-read")
    told = timeline(tmp_path / "case", kinds=kinds).rows
    execs = {row[0] for row in told if row[1] == "session"}
    assert len(execs) == 5
    assert (
        sorted([row[0] for row in told if row[1] != "session"] + [time for time in stamps if time in execs]) == stamps
    )
    rows = timeline(tmp_path / "case", pod="shop/toolbox", kinds=("session", "process-start")).rows
    assert [row[1] for row in rows] == ["process-start", "process-start", "session", "process-start", "process-start"]
    assert "Kubernetes" not in rows[2][2]
    assert rows[2][2].endswith("; left 1356, 1358")
