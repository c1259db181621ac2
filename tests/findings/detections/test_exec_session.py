# SPDX-License-Identifier: Apache-2.0
"""Sessions in containers that were opened from outside."""

from __future__ import annotations

from datetime import timedelta

from memir.findings.detections.exec_session import sessions
from memir.findings.look import Look
from memir.tables.sql import connected
from tests.findings.real import INTRUDED, NODE, SMALL, after, brief, kind, node, on_the_node

KIND = "exec-session"
SESSIONS = {279, 317, 320}
"""The exec session of the lab, and two programs that it starts in miner-0 from outside."""


def test_there() -> None:
    rows = {row["pid"]: row for row in kind(INTRUDED, KIND)}
    assert rows.keys() == SESSIONS
    assert (rows[279]["severity"], rows[279]["pod_name"], rows[279]["container_name"]) == (
        "medium", "api-58f6c9d7b4-q8xkz", "api",
    )  # fmt: skip
    assert {rows[pid]["severity"] for pid in (317, 320)} == {"low"}
    assert rows[279]["check_next"][0].startswith(
        "who it was: the audit log's pods/exec of shop/api-58f6c9d7b4-q8xkz/api"
    )


@on_the_node
def test_on_the_node() -> None:
    assert brief(kind(NODE, KIND)) == {("medium", "api-8489696577-l7df2", "api", 1227)}


def test_one_that_runs_for_long() -> None:
    clock = node(INTRUDED)[1].clock
    assert clock is not None
    rows = after(INTRUDED, KIND, "processes", {"pid": 320}, start_time=clock - timedelta(minutes=11))
    assert ("medium", "miner-0", "miner", 320) in brief(rows)


def test_sessions() -> None:
    tables, facts = node(INTRUDED)
    with connected(tables) as connection:
        assert {row["pid"] for row in sessions(Look(tables, connection, facts))} == SESSIONS


def test_not_there() -> None:
    """First processes of containers, their children, and the pod that shares the node's pids, too."""
    assert kind(SMALL, KIND) == []


def test_arguments_that_are_not_known() -> None:
    nothing: list[str] = []
    for args in (None, nothing):
        rows = after(INTRUDED, KIND, "processes", {"pid": 320}, args=args)
        (title,) = [row["title"] for row in rows if row["pid"] == 320]
        assert title.endswith("was started in the container from outside: its arguments are not known")
