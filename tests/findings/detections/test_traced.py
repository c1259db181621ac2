# SPDX-License-Identifier: Apache-2.0
"""Processes traced from another container."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memir.kube.ram import RamSource
from tests.findings.real import INTRUDED, NODE, SMALL, after, brief, kind, of_source, on_the_node, rows_with
from tests.injected import pid_of, traced

NodeOf = Callable[[str], RamSource]
KIND = "traced"


def pid_in(container: str) -> int:
    """A process of a container of the small node."""
    return int(rows_with(SMALL, "processes", container_name=container)[0]["pid"])


@pytest.mark.parametrize("name", [SMALL, "s-5.10-small-v1", "s-7.2-small-la57", "arm64-6.12-small-lpa2"])
def test_a_pod_that_traces_the_node(name: str, node_of: NodeOf) -> None:
    """As the kernel has it: task_struct's ptrace and parent."""
    clean = node_of(name)
    tracer, target = pid_of(clean, "secretd"), 1
    (row,) = of_source(traced(clean, target, tracer), KIND)
    assert (row["severity"], row["pid"]) == ("critical", 1)
    assert row["title"].startswith(f"pid {tracer} secretd (dev/miner-0/miner) traces pid 1 ")


def test_places(node_of: NodeOf) -> None:
    miner, web = pid_of(node_of(SMALL), "secretd"), pid_in("web")
    (row,) = after(SMALL, KIND, "processes", {"pid": web}, tracer=miner)
    assert brief([row]) == {("high", "web-7d4b9c6f5-abcde", "web", web)}
    (row,) = after(SMALL, KIND, "processes", {"pid": miner}, tracer=1)
    assert (row["severity"], row["reason"].partition(";")[0]) == ("medium", "a debugger on the node")
    (row,) = after(SMALL, KIND, "processes", {"pid": web}, tracer=pid_in("sidecar"))
    assert row["severity"] == "medium" and "the same pod" in row["reason"]


def test_within_a_container(node_of: NodeOf) -> None:
    same = [row["pid"] for row in rows_with(SMALL, "processes", container_name="miner")]
    assert after(SMALL, KIND, "processes", {"pid": same[0]}, tracer=same[1]) == []


def test_not_there() -> None:
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []
