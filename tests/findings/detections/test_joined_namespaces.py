# SPDX-License-Identifier: Apache-2.0
"""Processes of the node in some namespaces of a pod."""

from __future__ import annotations

import pytest

from tests.findings.real import INTRUDED, NODE, SMALL, after, brief, kind, on_the_node, rows_with

KIND = "joined-namespaces"


def test_there() -> None:
    rows = kind(INTRUDED, KIND)
    assert brief(rows) == {("medium", "miner-0", None, 296), ("medium", "miner-0", "miner", 299)}
    assert {row["pid"]: row["title"].rpartition(": ")[2] for row in rows} == {296: "net", 299: "mnt"}


@pytest.mark.parametrize("shared", [(), ("pid",), ("pid", "net")])
def test_who_has_all_namespaces_of_the_node_has_joined_none(shared: tuple[str, ...]) -> None:
    """runc, started by a pod's shim for a probe: seen on a clean node. shared: what the pod itself has of the node."""
    (node,) = rows_with(INTRUDED, "processes", pid=1)
    kinds = ("mnt", "pid", "net", "ipc", "uts")
    changes = {f"{kind}_ns": node[f"{kind}_ns"] for kind in kinds}
    says = ["cgroup=host", *(f"{kind}_ns=host" for kind in kinds if kind not in shared)]
    rows = after(INTRUDED, KIND, "processes", {"pid": 296}, disagreements=says, **changes)
    assert brief(rows) == {("medium", "miner-0", "miner", 299)}


def test_not_there() -> None:
    assert kind(SMALL, KIND) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
