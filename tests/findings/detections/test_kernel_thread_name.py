# SPDX-License-Identifier: Apache-2.0
"""Programs named like a thread of the kernel."""

from __future__ import annotations

import pytest

from tests.findings.real import INTRUDED, NODE, SMALL, after, brief, every, kind, on_the_node, rows_with

KIND = "kernel-thread-name"


def test_there() -> None:
    assert brief(kind(SMALL, KIND)) == {("high", "miner-0", "miner", 191)}
    assert {row["pid"] for row in kind(INTRUDED, KIND)} == {221, 222, 241}


@on_the_node
def test_on_the_node() -> None:
    assert brief(kind(NODE, KIND)) == {
        ("high", "api-8489696577-l7df2", "api", 1176), ("high", "api-8489696577-l7df2", "api", 1195),
    }  # fmt: skip


def test_threads_of_the_kernel_are_what_they_are() -> None:
    threads = {row["pid"] for row in rows_with(SMALL, "processes", kernel_thread=True)}
    assert len(threads) > 40
    assert threads.isdisjoint(row["pid"] for row in every(SMALL))


@pytest.mark.parametrize(
    ("comm", "args", "severity"),
    [
        ("kworker/0:1", ["/app/server"], "high"),
        ("rcu_sched", ["/app/server"], "high"),
        ("server", ["[migration/3]"], "high"),
        ("server", ["[celeryd: worker]"], "medium"),
        ("migration-run", ["/app/server"], None),
        ("rcu_tool", ["/app/server"], None),
        ("kwrite", None, None),
    ],
)
def test_names(comm: str, args: list[str] | None, severity: str | None) -> None:
    rows = after(SMALL, KIND, "processes", {"pid": 150}, comm=comm, args=args)
    assert [row["severity"] for row in rows if row["pid"] == 150] == ([severity] if severity else [])
