# SPDX-License-Identifier: Apache-2.0
"""Findings in a terminal: what, where, since when, why, what next; then what is clean and what was not looked for."""

from __future__ import annotations

from memir.findings.detect import able
from memir.findings.registry import detections
from memir.report.findings import explain_lines, finding_lines, whole_lines
from tests.findings.real import SMALL, every, node


def test_the_shortest_useful_form() -> None:
    lines = list(finding_lines(every(SMALL), node(SMALL)[0]))
    assert lines[0].startswith("Findings: 4 high")
    start = lines.index("  HIGH  deleted-executable (T1070.004 File Deletion)")
    assert lines[start + 1] == (
        "    2026-11-23 22:12:33  pid 190 dropper (dev/miner-0/miner) runs /tmp/dropper, which has been deleted"
    )
    assert lines[start + 2].startswith("    why:  Deleting the program that runs")
    assert lines[start + 3].startswith("    next: take the program out of memory")
    (clean,) = (line for line in lines if line.startswith("Looked for and not there: "))
    assert "hidden-task" in clean and "deleted-executable" not in clean
    assert not any(line.startswith("Not looked for") for line in lines)
    assert sorted(lines[-4:]) == [
        "With --ioc also: known-indicator",
        "With --logs (CloudTrail events) also: aws-key-in-memory, credentials-elsewhere",
        "With --logs (GuardDuty findings) also: guardduty-claims",
        "With --logs (Kubernetes audit log) also: api-session, token-elsewhere, token-in-memory",
    ]


def test_the_alert_comes_first() -> None:
    """Though others are worse: it is what the analysis was called for."""
    rows = every(SMALL)
    alert = {**rows[0], "kind": "guardduty-claims", "severity": "high", "title": "memory confirms it"}
    lines = list(finding_lines([*rows, alert], ()))
    assert lines[1:3] == ["  The alert, by what memory has seen of it:",
                          f"  HIGH  guardduty-claims ({alert['technique']} {alert['technique_name']})"]  # fmt: skip
    assert "memory confirms it" in lines[3]
    assert not any("The alert" in line for line in finding_lines(rows, ()))


def test_a_part_of_the_ram_proves_no_absence() -> None:
    lines = list(finding_lines([], node(SMALL)[0], whole=False))
    kinds = len(able(node(SMALL)[0]))
    assert lines[1] == (f"Of {kinds} other kinds nothing is in the RAM that is there, which proves nothing of the rest")
    assert not any("hidden" in line or "not there" in line for line in lines)


def test_nothing_found_is_said_with_what_was_looked_for() -> None:
    every = set(node(SMALL)[0])
    lines = list(finding_lines([], every - {"modules"}))
    assert lines[0] == "Findings: none of those memir looks for"
    assert lines[-1] == "Not looked for: hidden-module, the table modules was not read"
    lines = list(finding_lines([], every - {"vmas", "inodes"}))
    assert "Not looked for: anonymous-executable-memory, the table vmas was not read" in lines
    (line,) = (line for line in finding_lines([], ["modules"]) if line.startswith("Not looked for"))
    absent = line.split(": of their tables ")[1].removesuffix(" were not read").split(", ")
    assert {"processes", "containers", "pods", "sockets"} <= set(absent) <= every - {"modules"}


def test_many_of_a_kind_are_counted() -> None:
    row = next(row for row in every(SMALL) if row["kind"] == "deleted-executable")
    lines = list(finding_lines([row] * 15, []))
    assert lines[0] == "Findings: 15 high" and "    ... and 3 more" in lines
    lines = list(finding_lines([{**row, "severity": "low"}] * 15, []))
    assert lines[1] == f"  low  deleted-executable: {row['title']}"
    assert lines[13] == "  low  deleted-executable: ... and 3 more"
    assert "    time not known       x" in list(finding_lines([{**row, "first_seen": None, "title": "x"}], []))


def test_all_of_a_finding() -> None:
    row = next(row for row in every(SMALL) if row["kind"] == "deleted-executable")
    lines = list(whole_lines([row]))
    assert lines[0] == f"HIGH  {row['title']}"
    for line in (
        f"  id         {row['id']}",
        "  since      2026-11-23 22:12:33",
        "  ATT&CK     T1070.004 File Deletion (defense-evasion), v18.1",
        "  known as   GuardDuty: Execution:Runtime/NewBinaryExecuted",
        "  proof      select * from processes where pid = 190",
    ):
        assert line in lines
    assert any(", T1 since v19" in line for line in whole_lines([{**row, "technique_v19": "T1"}]))


def test_explain() -> None:
    lines = list(explain_lines(detections()["hidden-task"], "T1014 Rootkit"))
    assert lines[0] == "hidden-task: Task taken from lists of the kernel"
    assert lines[2] == "  ATT&CK     T1014 Rootkit"
    assert lines[-1] == "  tables     processes; where they are there also threads"
