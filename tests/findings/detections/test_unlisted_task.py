# SPDX-License-Identifier: Apache-2.0
"""Tasks off some lists, where the reading of RAM is reason enough."""

from __future__ import annotations

from dataclasses import replace

from memir.gaps import Gap
from tests.findings.real import INTRUDED, SMALL, after, kind, node

KIND = "unlisted-task"
WHERE = {"pid": 308}


def test_where_ram_lacks_nothing_is_called_hidden() -> None:
    facts = replace(node(INTRUDED)[1], gaps=(Gap("RAM", "0x1", "bytes that the image lacks", 7),))
    rows = after(INTRUDED, KIND, "processes", WHERE, facts, comm="x")
    assert {(row["severity"], row["reason"]) for row in rows} == {("low", "the image lacks RAM")}
    assert {row["pid"] for row in rows} == {308, 310, 312, 314, 317, 320}
    assert not any("hidden" in row["title"] + row["kind"] for row in rows)
    assert "7 RAM: bytes that the image lacks" in rows[0]["missed"]


def test_torn_lists() -> None:
    facts = replace(node(INTRUDED)[1], gaps=(Gap("thread list", "0x1", "link not readable"),))
    rows = after(INTRUDED, KIND, "processes", WHERE, facts, comm="x", unlinked=None)
    (row,) = (row for row in rows if row["pid"] == 308)
    assert (row["severity"], row["title"]) == (
        "medium",
        "pid 308 x (node) is known to pids, threads, children, cgroups, slab, not to tasks: hidden, or started "
        "or ended while RAM was read (lists of tasks are torn)",
    )


def test_not_there() -> None:
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []
