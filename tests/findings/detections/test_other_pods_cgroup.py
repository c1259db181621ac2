# SPDX-License-Identifier: Apache-2.0
"""Processes in the cgroup of one pod and the namespaces of another."""

from __future__ import annotations

from tests.findings.real import INTRUDED, NODE, SMALL, brief, kind, on_the_node

KIND = "other-pods-cgroup"


def test_there() -> None:
    (row,) = kind(INTRUDED, KIND)
    assert brief([row]) == {("high", "web-7d4b9c6f5-abcde", "web", 287)}
    assert row["title"].endswith("and in the mnt, net namespace of dev/miner-0, dev/miner-0/miner")


def test_not_there() -> None:
    assert kind(SMALL, KIND) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
