# SPDX-License-Identifier: Apache-2.0
"""`memir findings`: of cases, of a severity, as JSON, and how a kind is decided."""

from __future__ import annotations

from pathlib import Path

from memir.case.case import Case
from memir.cli import findings
from tests.case.test_case import ANALYSIS, ONE, processes
from tests.cli.conftest import Memir, registered
from tests.logs.made import exec_of, written


def test_findings(memir: Memir, analysed: Path) -> None:
    ran = memir("findings", analysed)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith(f"{analysed}: ")
    assert "HIGH  pid 190 dropper (dev/miner-0/miner) runs /tmp/dropper, which has been deleted" in lines
    rows = memir("findings", analysed, "--json").json()["cases"][str(analysed)]["findings"]
    assert [row["pid"] for row in rows if row["severity"] == "high"] == [191, 190, 191, 191]
    assert rows[1]["evidence"] == [{"table": "processes", "key": "pid = 190"}]
    only = memir("findings", analysed, "--severity", "critical", "--json").json()
    assert only["cases"][str(analysed)]["findings"] == []


def test_of_a_pod(memir: Memir, analysed: Path) -> None:
    every = memir("findings", analysed, "--json").json()["cases"][str(analysed)]["findings"]
    pods = {row["pod_name"] for row in every if row["pod_name"]}
    pod = sorted(pods)[0]
    rows = memir("findings", analysed, "--pod", pod, "--json").json()["cases"][str(analysed)]["findings"]
    assert rows == [row for row in every if row["pod_name"] == pod] != []
    ran = memir("findings", analysed, "--pod", "shop/nope")
    assert (ran.code, "pod 'shop/nope' is not in the case; it has " in ran.err) == (2, True)


def test_several_cases_and_exit_codes(memir: Memir, analysed: Path) -> None:
    ran = memir("findings", analysed, analysed.parent / "case", "--fail-on", "high")
    assert ran.code == 1
    assert memir("findings", analysed, "--fail-on", "critical").code == 0
    assert memir("findings").code == 2


def test_logs(memir: Memir, analysed: Path, tmp_path: Path) -> None:
    """Over the logs, too; what was looked for because of them is not named as not looked for."""
    pod = next(row for row in Case(analysed)["pods"].to_pylist() if row["pod_name"] == "miner-0")
    event = exec_of(pod["namespace"], "miner-0", "command=id&container=miner", "2026-11-23T22:17:50Z", "1")
    log = written(tmp_path, "a", event, "broken")
    ran = memir("findings", analysed, "--logs", log)
    assert (ran.code, ran.err) == (0, "")
    assert "opened a session in dev/miner-0/miner: id" in ran.out
    lines = ran.out.splitlines()
    assert [line for line in lines if line.startswith("With --logs")] == [
        "With --logs (CloudTrail events) also: aws-key-in-memory, credentials-elsewhere",
        "With --logs (GuardDuty findings) also: guardduty-claims",
    ]
    assert f"Not read: 1 lines of no format that memir reads, e.g. {log}, line 2" in lines
    asked = "With --logs (Kubernetes audit log) also: api-session, token-elsewhere, token-in-memory"
    assert asked in memir("findings", analysed).out.splitlines()


def test_a_case_without_findings(memir: Memir, tmp_path: Path) -> None:
    Case.create(tmp_path / "old").add_tables({"processes": processes(1)}, ANALYSIS, ONE)
    ran = memir("findings", tmp_path / "old")
    assert (ran.code, ran.out) == (3, "")
    assert "has no findings: an earlier memir wrote it" in ran.err


def test_explain(memir: Memir) -> None:
    ran = memir("findings", "--explain", "hidden-task")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "hidden-task: Task taken from lists of the kernel")
    assert memir("findings", "--explain", "hidden-task", "--json").json()["technique"] == "T1014"
    ran = memir("findings", "--explain", "nothing")
    assert ran.code == 2 and "there are " in ran.err and "hidden-task" in ran.err


def test_register() -> None:
    assert registered(findings) == ["findings"]


def test_known_indicators(memir: Memir, raw_image: Path, analysed: Path, tmp_path: Path) -> None:
    (tmp_path / "ioc.csv").write_text("indicator,name\n198.51.100.7,other\n/tmp,none\n0.0.0.0/0,everything\n")
    rows = memir("findings", analysed, "--ioc", tmp_path / "ioc.csv", "--json").json()["cases"][str(analysed)][
        "findings"
    ]
    ends = Case(analysed).sql("select count(*) as n from sockets where family = 'inet' and remote is not null").rows
    marked = [row for row in rows if row["kind"] == "known-indicator"]
    assert len(marked) == ends[0][0]
    case = tmp_path / "with"
    assert memir("analyze", raw_image, "-o", case, "--ioc", tmp_path / "ioc.csv").code == 0
    assert len([row for row in Case(case)["findings"].to_pylist() if row["kind"] == "known-indicator"]) == ends[0][0]
    assert Case(case)["indicators"]["name"].to_pylist() == ["other", "everything"]
    ran = memir("analyze", raw_image, "-o", tmp_path / "no", "--ioc", tmp_path / "absent")
    assert (ran.code, "--ioc" in ran.err) == (2, True)
