# SPDX-License-Identifier: Apache-2.0
"""Programs that lie in memory alone."""

from __future__ import annotations

from tests.findings.real import INTRUDED, NODE, SMALL, after, brief, kind, on_the_node

KIND = "memfd-executable"


def test_there() -> None:
    assert brief(kind(SMALL, KIND)) == {("high", "miner-0", "miner", 191)}
    assert {row["path"] for row in kind(INTRUDED, KIND)} == {"/memfd:kthreadd", "/memfd:x"}
    assert len(kind(INTRUDED, KIND)) == 2


@on_the_node
def test_on_the_node() -> None:
    (row,) = kind(NODE, KIND)
    assert (row["pid"], row["pod_name"], row["path"]) == (1195, "api-8489696577-l7df2", "/memfd:kthreadd")
    assert row["first_seen"] == row["start_time"]
    assert row["evidence"] == [{"table": "processes", "key": "pid = 1195"}]


def test_runc_is_no_intruder() -> None:
    (row,) = after(SMALL, KIND, "processes", {"pid": 191}, exe="/memfd:runc_cloned:/proc/self/exe")
    assert row["severity"] == "low"


def test_not_there() -> None:
    assert after(SMALL, KIND, "processes", {"pid": 191}, exe="/usr/bin/sleep") == []
