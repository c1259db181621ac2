# SPDX-License-Identifier: Apache-2.0
"""Processes of the node in some namespaces of a pod."""

from __future__ import annotations

from tests.findings.real import INTRUDED, NODE, SMALL, brief, kind, on_the_node

KIND = "joined-namespaces"


def test_there() -> None:
    rows = kind(INTRUDED, KIND)
    assert brief(rows) == {("medium", "miner-0", None, 296), ("medium", "miner-0", "miner", 299)}
    assert {row["pid"]: row["title"].rpartition(": ")[2] for row in rows} == {296: "net", 299: "mnt"}


def test_not_there() -> None:
    assert kind(SMALL, KIND) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
