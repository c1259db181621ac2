# SPDX-License-Identifier: Apache-2.0
"""Pods that the API does not know."""

from __future__ import annotations

from tests.findings.real import INTRUDED, NODE, SMALL, after, kind, on_the_node
from tests.lab.pods import SPOOFED_POD

KIND = "unknown-pod"


def test_there() -> None:
    (row,) = kind(INTRUDED, KIND)
    assert (row["severity"], row["pod_uid"], row["first_seen"]) == ("medium", SPOOFED_POD, None)


def test_a_pod_that_the_api_has_forgotten() -> None:
    rows = after(INTRUDED, KIND, "pods", {"pod_name": "miner-0"}, seen_in="ram")
    assert {(row["severity"], row["pod_name"]) for row in rows} == {("medium", None), ("medium", "miner-0")}


def test_a_static_pod_is_low() -> None:
    rows = after(INTRUDED, KIND, "pods", {"pod_name": "miner-0"}, seen_in="ram", pod_uid="ab" * 16)
    assert {row["severity"] for row in rows if row["pod_name"]} == {"low"}


@on_the_node
def test_not_on_the_node() -> None:
    assert kind(NODE, KIND) == []


def test_without_the_api_nothing_is_said() -> None:
    assert kind(SMALL, KIND) == []
