# SPDX-License-Identifier: Apache-2.0
"""Events of logs: each leads back to its row, with that row's time."""

from __future__ import annotations

from pathlib import Path

from memir.case.log_events import LOG_EVENTS
from memir.case.query import ask
from memir.logs.source import LogSource
from tests.logs.made import FLOW, V5, audit, exec_of, finding, written

TIME = "2026-11-23T22:28:00Z"
TRAIL = {
    "eventVersion": "1.11", "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "eventID": "e1",
    "eventTime": TIME, "userIdentity": {"type": "AssumedRole", "arn": "arn:x"}, "sourceIPAddress": "198.51.100.7",
}  # fmt: skip


def test_events(tmp_path: Path) -> None:
    session = exec_of("shop", "api", "command=sh&container=api", TIME, "1")
    ended = {**session, "stage": "ResponseComplete", "stageTimestamp": "2026-11-23T22:29:00Z"}
    paths = [
        written(tmp_path, "audit", session, ended, audit("create", objectRef={"resource": "pods", "name": "p"}),
                audit("list"), audit("get", objectRef={"resource": "secrets", "namespace": "n", "name": "s"}),
                audit("watch", stage="ResponseStarted")),
        written(tmp_path, "trail", TRAIL), written(tmp_path, "duty", finding()),
        written(tmp_path, "flow", V5, f"{FLOW} 10.244.0.3 198.51.100.77 19 vpc-1 egress"),
        written(tmp_path, "auth", f'time="{TIME}" level=info msg="access granted" arn="arn:y" username=dev'),
        written(tmp_path, "box", f"{TIME.replace('Z', '.0Z')} stdout F hello"),
    ]  # fmt: skip
    source = LogSource(paths)
    tables = {name: source.table(name) for name in source.tables}
    texts: dict[str, list[str]] = {}
    for event in LOG_EVENTS:
        for time, kind, text, *_owner, table, key, _uid, _sequence in ask(tables, event.select()).rows:
            texts.setdefault(kind, []).append(text)
            column = f'"{event.time}"'
            assert ask(tables, f"select {column} from {table} where {key}").rows == [(time,)]
    assert texts == {
        "session": ["exec of shop/api by alice from 203.0.113.7, HTTP 101: sh"],
        "session-end": ["exec of shop/api by alice from 203.0.113.7"],
        "audit": [
            "alice from 203.0.113.7: create pods p, HTTP 200", "alice from 203.0.113.7: get secrets n/s, HTTP 200",
        ],
        "audit-read": ["alice from 203.0.113.7: list /api/v1/pods , HTTP 200"],
        "iam-login": ["access granted: arn:y as dev"],
        "cloudtrail": ["arn:x from 198.51.100.7: s3.amazonaws.com GetObject"],
        "guardduty": ["8.0 Execution:Runtime/NewBinaryExecuted: title"],
        "flow": ["10.244.0.3:40000 to 198.51.100.77:443, 5000 bytes, ACCEPT"],
        "container-log": ["stdout: hello"],
    }
    assert [event.kind for event in LOG_EVENTS if event.quiet] == ["audit-read"]
