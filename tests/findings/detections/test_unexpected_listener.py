# SPDX-License-Identifier: Apache-2.0
"""Ports that containers listen on and did not declare."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pyarrow as pa

from tests.findings.real import INTRUDED, SMALL, Row, brief, given, kind, node

KIND = "unexpected-listener"
WEB = ("web-7d4b9c6f5-abcde", "web", 197)


def changed(table: str, pid: str, **values: Any) -> pa.Table:
    """A table of the intruded node with cells of the web container's rows changed. pid: the column that has it."""
    own = node(INTRUDED)[0][table]
    rows = own.to_pylist()
    for row in rows:
        if row[pid] == 197 and row.get("state") in (None, "LISTEN", "running", "S"):
            row.update(values)
    return pa.Table.from_pylist(rows, schema=own.schema)


def test_a_port_that_is_none_of_those_declared() -> None:
    (row,) = given(INTRUDED, KIND, containers=changed("containers", "init_pid", ports=["9090/TCP"]))
    assert brief([row]) == {("low", *WEB)}
    assert row["title"].endswith("listens on port 8080; declared: 9090/TCP")


def test_one_that_began_late_and_a_shell() -> None:
    ports = changed("containers", "init_pid", ports=["9090/TCP"], init_pid=218)
    (init,) = (row["start_time"] for row in node(INTRUDED)[0]["processes"].to_pylist() if row["pid"] == 218)
    late = changed("processes", "pid", start_time=init + timedelta(minutes=6))
    assert [row["severity"] for row in given(INTRUDED, KIND, containers=ports, processes=late)] == ["medium"]
    shell = changed("processes", "pid", comm="nc")
    nothing: list[Row] = given(INTRUDED, KIND, processes=shell)
    assert nothing == [], "it is the container's own command"
    other = changed("containers", "init_pid", ports=None, init_pid=218)
    assert [row["severity"] for row in given(INTRUDED, KIND, containers=other, processes=shell)] == ["medium"]


def test_a_program_that_came_later() -> None:
    """Also where the spec declares no port: made on the upper layer, deleted, a memfd; not the container's own."""
    other = changed("containers", "init_pid", init_pid=218)
    (exe,) = (row["exe"] for row in node(INTRUDED)[0]["processes"].to_pylist() if row["pid"] == 197)
    inodes = node(INTRUDED)[0]["inodes"]
    rows = inodes.to_pylist()
    (container,) = (
        row["container_id"] for row in node(INTRUDED)[0]["containers"].to_pylist() if row["init_pid"] == 197
    )
    made = [row | {"change": "created"} if row["container_path"] == exe and row["container_id"] == container else row
            for row in rows]  # fmt: skip
    assert made != rows
    brought = pa.Table.from_pylist(made, schema=inodes.schema)
    assert brief(given(INTRUDED, KIND, containers=other, inodes=brought)) == {("medium", *WEB)}
    for words in ({"exe_deleted": True}, {"exe": "/memfd:x"}):
        assert brief(given(INTRUDED, KIND, containers=other, processes=changed("processes", "pid", **words))) == {
            ("medium", *WEB)
        }
    assert given(INTRUDED, KIND, containers=other) == []
    assert given(INTRUDED, KIND, inodes=brought) == [], "its own command: created-executable tells that"


def test_not_there() -> None:
    assert kind(INTRUDED, KIND) == kind(SMALL, KIND) == []
    declared = changed("containers", "init_pid", ports=["8080/TCP"])
    assert given(INTRUDED, KIND, containers=declared) == []
    ports = changed("containers", "init_pid", ports=["9090/TCP"])
    assert given(INTRUDED, KIND, containers=ports, sockets=changed("sockets", "pid", local="127.0.0.1")) == []
