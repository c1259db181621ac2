# SPDX-License-Identifier: Apache-2.0
"""Privileged containers, and whose agents need it."""

from __future__ import annotations

import pytest

from tests.findings.real import INTRUDED, NODE, SMALL, after, brief, kind, on_the_node

KIND = "privileged-container"


def test_there() -> None:
    (row,) = kind(INTRUDED, KIND)
    assert brief([row]) == {("medium", "toolbox", "toolbox", 266)}
    assert row["title"] == "shop/toolbox/toolbox is privileged and shares the node's pids"


@on_the_node
def test_the_nodes_own_agent_is_no_finding_to_act_on() -> None:
    assert {(row["severity"], row["pod_name"]) for row in kind(NODE, KIND)} == {
        ("medium", "toolbox"), ("info", "node-agent-2zlxg"),
    }  # fmt: skip


@pytest.mark.parametrize(("owner", "severity"), [("DaemonSet/x", "low"), ("ReplicaSet/x", "medium"), (None, "medium")])
def test_whose_it_is(owner: str | None, severity: str) -> None:
    (row,) = after(INTRUDED, KIND, "pods", {"pod_name": "toolbox"}, owner=owner)
    assert row["severity"] == severity


def test_in_a_user_namespace_of_its_own() -> None:
    (row,) = after(INTRUDED, KIND, "containers", {"container_name": "toolbox"}, host_users=False)
    assert (row["severity"], "inside a user namespace of its own" in row["title"]) == ("low", True)


def test_not_there() -> None:
    assert kind(SMALL, KIND) == []
    assert after(INTRUDED, KIND, "containers", {"container_name": "toolbox"}, state="exited") == []
