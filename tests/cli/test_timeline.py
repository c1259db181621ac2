# SPDX-License-Identifier: Apache-2.0
"""`memir timeline`: of one case and of several, in each format."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path

import pytest

from memir.cli import timeline
from tests.cli.conftest import Memir, registered
from tests.logs.made import audit, written


def test_formats_have_the_same_events(memir: Memir, analysed: Path) -> None:
    asked = ("timeline", analysed, "--kind", "process-start", "--pod", "dev/miner-0")
    document = memir(*asked, "--json").json()
    rows = document["rows"]
    assert [row["text"] for row in rows if "dropper" in row["text"]] == ["pid 190 dropper: /tmp/.d/dropper run"]
    ran = memir(*asked)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[-1] == f"{len(rows)} events, UTC by the image's own clock"
    for line, row in zip(lines, rows, strict=False):
        place = "/".join(part for part in (row["namespace"], row["pod_name"], row["container_name"]) if part)
        assert line == f"{row['time'].replace('T', ' ')[:23]}  process-start    {place}: {row['text']}"
    printed = [json.loads(line) for line in memir(*asked, "--format", "jsonl").out.splitlines()]
    assert printed == rows
    table = list(csv.DictReader(io.StringIO(memir(*asked, "--format", "csv").out)))
    assert [(row["time"], row["key"]) for row in table] == [(row["time"], row["key"]) for row in rows]


def test_what_a_start_is(memir: Memir, analysed: Path) -> None:
    note = "process-start: a process starts when it is forked: the program that it runs may have been started later"
    assert note in memir("timeline", analysed, "--kind", "process-start").out.splitlines()
    assert note not in memir("timeline", analysed, "--kind", "finding").out


def test_timesketch(memir: Memir, analysed: Path) -> None:
    """The three mandatory fields, and the timestamp in microseconds that says the same."""
    ran = memir("timeline", analysed, "--format", "timesketch")
    events = [json.loads(line) for line in ran.out.splitlines()]
    rows = memir("timeline", analysed, "--json").json()["rows"]
    assert [event["message"] for event in events] == [row["text"] for row in rows]
    for event, row in zip(events, rows, strict=True):
        assert event["datetime"] == row["time"]
        seconds = datetime.fromisoformat(event["datetime"])
        assert event["timestamp"] == int(seconds.timestamp()) * 1_000_000 + seconds.microsecond
    assert {event["timestamp_desc"] for event in events if event["kind"] == "process-start"} == {"Start Time"}


def test_several_cases_are_one_timeline(memir: Memir, analysed: Path) -> None:
    ran = memir("timeline", analysed, f"{analysed}/../case", "--kind", "finding", "--json").json()
    once = memir("timeline", analysed, "--kind", "finding", "--json").json()
    assert len(ran["rows"]) == 2 * len(once["rows"])
    assert [row["time"] for row in ran["rows"]] == sorted(row["time"] for row in ran["rows"])
    assert f"{analysed}: dev/miner-0/miner: high " in memir("timeline", analysed, analysed, "--kind", "finding").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--from", "yesterday"), 2, "--from 'yesterday' is no time: write it as 2026-11-23T22:27:43, UTC if"),
        (("--kind", "x"), 2, "kind 'x': there are process-start, "),
        (("--pod", "nobody"), 2, "pod 'nobody' is not in the case; it has "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(
    memir: Memir, analysed: Path, arguments: tuple[str, str], code: int, words: str
) -> None:
    ran = memir("timeline", analysed, *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith(f"memir: {words}")
    assert ran.err.count("\n") == 1


def test_logs(memir: Memir, analysed: Path, tmp_path: Path) -> None:
    log = written(tmp_path, "a", audit("create", objectRef={"resource": "pods"}), "broken")
    ran = memir("timeline", analysed, "--logs", log, "--kind", "audit")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    when = "2026-11-23 22:27:43.020  audit            the API"
    assert lines[0] == f"{when}: alice from 203.0.113.7: create pods , HTTP 200"
    assert lines[-3:] == [
        "Reads of the API are left out: --kind audit-read lists them",
        f"Clocks of {analysed}: the log and the node could not be compared",
        f"Not read: 1 lines of no format that memir reads, e.g. {log}, line 2",
    ]
    assert memir("timeline", analysed, "--logs", tmp_path / "absent").code == 3


def test_no_case(memir: Memir, tmp_path: Path) -> None:
    assert memir("timeline", tmp_path / "none").code == 3
    assert memir("timeline").code == 2


def test_register() -> None:
    assert registered(timeline) == ["timeline"]
