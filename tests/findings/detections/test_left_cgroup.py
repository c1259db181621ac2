# SPDX-License-Identifier: Apache-2.0
"""Processes of a container in a cgroup of the node."""

from __future__ import annotations

from tests.findings.real import INTRUDED, NODE, SMALL, brief, kind, on_the_node

KIND = "left-cgroup"


def test_there() -> None:
    assert brief(kind(INTRUDED, KIND)) == {("high", "miner-0", "miner", pid) for pid in (282, 290, 293)}
    assert {row["title"].rpartition(" ")[2] for row in kind(INTRUDED, KIND)} == {
        "/", "/system.slice/containerd.service", "/system.slice/updater.service",
    }  # fmt: skip


def test_not_there() -> None:
    assert kind(SMALL, KIND) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
