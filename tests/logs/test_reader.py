# SPDX-License-Identifier: Apache-2.0
"""Which format takes which line; what no format takes is counted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from memir.gaps import Gaps
from memir.logs.formats import formats
from memir.logs.reader import read_file
from memir.logs.source import LogSource
from memir.tables.sql import connected
from tests.fuzz import cases, mutations
from tests.logs.made import audit, gaps, rows, written

EVENTS = [audit(auditID=str(number)) for number in range(3)]
TRAIL = {
    "eventVersion": "1.11", "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "eventID": "e1",
    "eventTime": "2026-11-23T22:28:00Z", "userIdentity": {"type": "AssumedRole"},
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(json.dumps(event) for event in EVENTS),
        json.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": EVENTS}),
        json.dumps(EVENTS),
        json.dumps(EVENTS, indent=2),
        "\n".join(json.dumps(event, indent=4) for event in EVENTS),
        json.dumps({"events": [{"timestamp": 1, "message": json.dumps(event)} for event in EVENTS]}),
        json.dumps({"messageType": "DATA_MESSAGE", "logEvents": [{"message": json.dumps(event)} for event in EVENTS]}),
        "\n".join(f"2026-11-23T22:28:00.123Z {json.dumps(event)}" for event in EVENTS),
        "\ufeff" + "\r\n\r\n".join(json.dumps(event) for event in EVENTS),
    ],
    ids=["lines", "EventList", "array", "pretty array", "jq", "aws logs", "subscription", "CloudWatch export", "BOM"],
)
def test_envelopes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any.name"
    path.write_bytes(gzip.compress(text.encode()))
    assert [row["audit_id"] for row in rows(path, "audit")] == ["0", "1", "2"]
    assert gaps(path) == {}


def test_times_that_no_calendar_has(tmp_path: Path) -> None:
    times = [
        "infinity",
        "-infinity",
        "epoch",
        "now",
        "294247-01-10T04:00:54Z",
        "5000-01-01 (BC)",
        "2026-13-01T00:00:00Z",
    ]
    path = written(tmp_path, "a", *(audit(requestReceivedTimestamp=time) for time in times))
    assert [row["time"] for row in rows(path, "audit")] == [None] * len(times)


def test_several_formats_in_one_file(tmp_path: Path) -> None:
    path = written(
        tmp_path, "mixed", EVENTS[0], {"Records": [TRAIL, TRAIL]}, "2026-11-23T22:28:00.1Z stderr F hello",
        'time="2026-11-23T22:27:40Z" level=info msg="access granted" username=x', EVENTS[1],
    )  # fmt: skip
    source = LogSource([path])
    assert {name: source.table(name).num_rows for name in source.tables} == {
        "audit": 2, "cloudtrail": 2, "container_logs": 1, "authenticator": 1, "sessions": 0,
    }  # fmt: skip
    assert [row["line"] for row in source.table("cloudtrail").to_pylist()] == [2, 2]
    assert list(source.gaps) == []


def test_broken_lines_are_counted_and_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a", EVENTS[0], '{"kind": "Event", "auditID"', "plain words", {"odd": 1}, "", EVENTS[1])
    source = LogSource([path])
    assert source.table("audit").num_rows == 2
    assert {(gap.kind, gap.where, gap.why, gap.count) for gap in source.gaps} == {
        ("log", f"{path}, line 2", "lines that are not whole JSON", 1),
        ("log", f"{path}, line 2", "JSON of no format that memir reads", 1),
        ("log", f"{path}, line 2", "lines of no format that memir reads", 1),
    }


def test_hostile_lines(tmp_path: Path) -> None:
    deep = "[" * 200_000 + "]" * 200_000
    path = tmp_path / "a"
    path.write_bytes(
        b"\n".join([
            json.dumps(EVENTS[0]).encode(), deep.encode(), ('{"kind":' + deep + "}").encode(), b"[" * 200_000,
            ('{"items":' + deep + "}").encode(), b"\0" * 99,
            b'{"kind":"Event","auditID":"n","responseStatus":{"code":' + b"9" * 5000 + b"}}",
            b'{"kind":"Event","auditID":"=HYPERLINK(1)","verb":"\xff\xfe","user":{"username":["x"]}}',
            b'{"kind":"Event","auditID":"esc","userAgent":"\\u001b[2J\\u0000"}',
            b'{"kind":"Event","auditID":"\\ud800"}',
        ])
    )  # fmt: skip
    source = LogSource([path])
    found = {row["audit_id"]: row for row in source.table("audit").to_pylist()}
    assert set(found) == {"0", "n", "=HYPERLINK(1)", "esc"}
    assert found["n"]["code"] is None
    assert (found["=HYPERLINK(1)"]["verb"], found["=HYPERLINK(1)"]["user"]) == ("��", '["x"]')
    assert found["esc"]["user_agent"] == "\x1b[2J\0"
    assert {gap.why: gap.count for gap in source.gaps} == {
        "byte sequences that are not UTF-8, shown as U+FFFD": 2,
        "lines that are not whole JSON": 2,
        "JSON of no format that memir reads": 3,
        "lines of no format that memir reads": 1,
    }


def test_damaged_logs(tmp_path: Path) -> None:
    """Whatever a log has become: rows or gaps, and no error."""
    seeds = [
        "\n".join(json.dumps(event) for event in EVENTS).encode(), json.dumps({"Records": [TRAIL]}).encode(),
        json.dumps(EVENTS, indent=1).encode(), gzip.compress(json.dumps(EVENTS[0]).encode()),
    ]  # fmt: skip
    path = tmp_path / "log"
    with connected({}) as connection:
        for data in mutations(seeds, cases(40, 300)):
            path.write_bytes(data)
            gaps = Gaps()
            read = read_file(path, formats(), connection, gaps)
            assert read.known or gaps.total or not data.strip()
            assert sum(table.num_rows for tables in read.tables.values() for table in tables) == read.known
