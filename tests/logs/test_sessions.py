# SPDX-License-Identifier: Apache-2.0
"""The table sessions: who opened what in a pod, and the processes that it left."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from memir.logs.sessions import read
from memir.logs.source import LogSource
from tests.findings.real import INTRUDED, NODE, node, on_the_node
from tests.images import case
from tests.logs.made import audit, exec_of, rows, written

API, PID = "api-58f6c9d7b4-q8xkz", 279
"""The exec session of the lab's intruder."""


def _process() -> dict[str, Any]:
    return next(row for row in node(INTRUDED)[0]["processes"].to_pylist() if row["pid"] == PID)


def _log(folder: Path, ahead: float) -> Path:
    """The audit log of an API server whose clock is `ahead` seconds behind the node's."""
    row = _process()
    query = "&".join(f"command={quote_plus(arg)}" for arg in row["args"]) + "&container=api"
    time = (row["start_time"] - timedelta(seconds=ahead + 0.3)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return written(folder, "a", exec_of(row["namespace"], API, query, time, "mine"))


def test_its_command_and_its_children(tmp_path: Path) -> None:
    (row,) = rows(_log(tmp_path, 0), "sessions", node(INTRUDED)[0].get)
    children = [each["pid"] for each in node(INTRUDED)[0]["processes"].to_pylist() if each["ppid"] == PID]
    assert row["pids"] == [PID, *children]
    assert row["processes"][0].endswith("(its command)")
    assert (row["kind"], row["user"], row["source_ips"], row["end"], row["pod_name"], row["container_name"]) == (
        "exec", "alice", ["203.0.113.7"], None, API, "api",
    )  # fmt: skip
    assert (row["clock_offset"], row["clock_said_by"], row["audit_id"]) == (0.0, 1, "mine")


def test_clocks_that_differ(tmp_path: Path) -> None:
    (row,) = rows(_log(tmp_path, 90), "sessions", node(INTRUDED)[0].get)
    assert row["pids"][0] == PID
    assert round(row["clock_offset"], 1) == 90.3


def test_sessions_of_other_kinds(tmp_path: Path) -> None:
    def of(sub: str, verb: str, ident: str, **more: Any) -> dict[str, Any]:
        ref = {"resource": "pods", "namespace": "n", "name": "p", "subresource": sub}
        return audit(verb, "/x", objectRef=ref, auditID=ident, **more)

    path = written(
        tmp_path, "a", of("attach", "get", "1"), of("portforward", "create", "2"),
        of("ephemeralcontainers", "patch", "3"),
        of("ephemeralcontainers", "get", "4"), of("log", "get", "5"),
        of("exec", "create", "6", responseStatus={"code": 403}),
        audit("create", "/api/v1/nodes/ip/proxy/exec/shop/api/api?command=id", auditID="7",
              objectRef={"resource": "nodes", "name": "ip", "subresource": "proxy"}),
    )  # fmt: skip
    assert [(row["audit_id"], row["kind"], row["code"], row["pids"]) for row in rows(path, "sessions")] == [
        ("1", "attach", 200, None), ("2", "portforward", 200, None), ("3", "debug", 200, None),
        ("6", "exec", 403, None), ("7", "proxy", 200, None),
    ]  # fmt: skip


@on_the_node
def test_on_the_node() -> None:
    """What the intruder did, by the image's README: five sessions, and what is left of each."""
    source = LogSource([case(NODE).beside("audit.log.gz")], node(NODE)[0].get)
    every = read(source).rows()
    assert [(row["pod_name"], row["pids"], row["maybe"]) for row in every] == [
        ("api-8489696577-l7df2", [1176], None), ("api-8489696577-l7df2", [1195], None),
        ("api-8489696577-l7df2", [1215], None), ("api-8489696577-l7df2", [1227, 1233], None),
        ("toolbox", [1356, 1358], None),
    ]  # fmt: skip
    assert {(row["user"], row["clock_offset"], row["clock_said_by"]) for row in every} == {("kubernetes-admin", 0.0, 1)}
    assert [row["end"] is None for row in every] == [False, False, False, True, False]
