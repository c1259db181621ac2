# SPDX-License-Identifier: Apache-2.0
"""Sessions that were opened through the API, with who opened them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from memir.findings.detections.api_session import who
from tests.findings.real import INTRUDED, NODE, brief, on_the_node
from tests.findings.with_logs import over, process_of, real_log
from tests.logs.made import audit, exec_of, written

KIND, API = "api-session", "api-58f6c9d7b4-q8xkz"


def _opened(pid: int, command: list[str], container: str, ident: str) -> dict[str, Any]:
    """The event of an exec at the start of a process. command: what was typed."""
    row = process_of(pid)
    query = "&".join(f"command={quote_plus(part)}" for part in command) + f"&container={container}"
    time = (row["start_time"] - timedelta(seconds=0.05)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return exec_of(row["namespace"], row["pod_name"], query, time, ident)


def test_there(tmp_path: Path) -> None:
    log = written(
        tmp_path, "a", _opened(279, ["cat"], "api", "cat"),
        _opened(240, ["sh", "-c", "/tmp/.d/dropper run &"], "miner", "it's"),
        _opened(266, ["id"], "toolbox", "gone"),
    )  # fmt: skip
    rows = {row["evidence"][0]["key"]: row for row in over(INTRUDED, [log], KIND)}
    assert set(rows) == {"audit_id = 'cat'", "audit_id = 'it''s'", "audit_id = 'gone'"}
    alive = rows["audit_id = 'cat'"]
    assert (alive["severity"], alive["pid"], alive["pod_name"], alive["container_name"]) == ("medium", 279, API, "api")
    assert alive["title"].startswith("alice from 203.0.113.7 with kubectl/v1.34.0 opened a session in ")
    assert alive["evidence"][1] == {"table": "processes", "key": "pid = 279"}
    assert (rows["audit_id = 'gone'"]["severity"], rows["audit_id = 'gone'"]["pid"]) == ("low", None)


def test_what_it_left_makes_it_high(tmp_path: Path) -> None:
    """A program that was deleted and whose parent has ended: here its parent is the container's first process."""
    log = written(tmp_path, "a", _opened(221, ["sh", "-c", "cd /tmp/.x; ./kworkerds &"], "api", "1"))
    (row,) = over(INTRUDED, [log], KIND)
    assert (row["severity"], row["pid"], row["reason"]) == (
        "high", 221, "pid 221, which it left, runs a program that has been deleted",
    )  # fmt: skip


def test_not_there(tmp_path: Path) -> None:
    """What was refused, pods of other nodes, and requests that open nothing."""
    refused = _opened(279, ["cat"], "api", "1") | {"responseStatus": {"code": 403}}
    other = exec_of("shop", "api-on-another-node", "command=sh", "2026-11-20T10:01:56Z", "2")
    kubelet = audit("patch", objectRef={"resource": "pods", "subresource": "status", "namespace": "shop", "name": API})
    assert over(INTRUDED, [written(tmp_path, "a", refused, other, kubelet)], KIND) == []


def test_who() -> None:
    assert who({"user": None}) == "a user that is not known"
    assert who({"user": "a", "impersonated": "b", "source_ips": ["1.2.3.4", "5"], "user_agent": "c"}) == (
        "a as b from 1.2.3.4 with c"
    )


@on_the_node
def test_on_the_node() -> None:
    """The real audit log of the real intruder: who opened what, and nothing of kubelet, controllers and probes."""
    api, toolbox = "api-8489696577-l7df2", "toolbox"
    rows = over(NODE, [real_log(NODE)], KIND)
    assert brief(rows) == {
        ("high", api, "api", 1176), ("high", api, "api", 1195), ("medium", api, "api", 1215),
        ("medium", api, "api", 1227), ("high", toolbox, "toolbox", 1356),
    }  # fmt: skip
    assert all(row["title"].startswith("kubernetes-admin from 127.0.0.1 with kubectl/") for row in rows)
