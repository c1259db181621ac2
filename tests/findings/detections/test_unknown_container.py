# SPDX-License-Identifier: Apache-2.0
"""Containers of no pod."""

from __future__ import annotations

from tests.findings.real import INTRUDED, NODE, SMALL, after, kind, on_the_node
from tests.lab.pods import HELPER, SPOOFED_POD, container_id

KIND = "unknown-container"


def test_there() -> None:
    rows = {row["container_id"]: row for row in kind(INTRUDED, KIND)}
    assert {key: row["severity"] for key, row in rows.items()} == {
        HELPER.id: "high", container_id("spoofed"): "high",
    }  # fmt: skip
    assert rows[HELPER.id]["pid"] == 271
    assert SPOOFED_POD in rows[container_id("spoofed")]["title"]


@on_the_node
def test_on_the_node() -> None:
    (row,) = kind(NODE, KIND)
    assert (row["severity"], row["pid"], row["container_id"][:12]) == ("high", 1402, "a82f117191b0")


def test_one_that_has_ended_is_medium() -> None:
    rows = after(INTRUDED, KIND, "containers", {"container_id": HELPER.id}, state="exited")
    assert {row["severity"] for row in rows if row["container_id"] == HELPER.id} == {"medium"}


def test_not_there() -> None:
    assert kind(SMALL, KIND) == []
