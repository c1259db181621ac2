# SPDX-License-Identifier: Apache-2.0
"""Sockets that the kernel's tables lack."""

from __future__ import annotations

from dataclasses import replace

from memir.gaps import Gap
from tests.findings.real import INTRUDED, NODE, SMALL, after, kind, node, on_the_node

KIND = "hidden-socket"
WHERE = {"pid": 150, "protocol": "tcp", "state": "LISTEN"}


def test_one_that_an_open_file_alone_shows() -> None:
    (row,) = after(SMALL, KIND, "sockets", WHERE, seen_in="file")
    assert (row["severity"], row["pid"], row["pod_name"]) == ("high", 150, "web-7d4b9c6f5-abcde")
    assert "is LISTEN (0.0.0.0 port 8080) and in no table of the kernel's" in row["title"]


def test_where_ram_lacks_it_is_medium() -> None:
    facts = node(SMALL)[1]
    for known in (replace(facts, gaps=(Gap("RAM", "0x1", "lacks"),)), replace(facts, span=30.0)):
        assert [row["severity"] for row in after(SMALL, KIND, "sockets", WHERE, known, seen_in="file")] == ["medium"]


def test_not_there() -> None:
    """A socket that was never bound is in no table either, and hides nothing."""
    assert kind(SMALL, KIND) == kind(INTRUDED, KIND) == []
    assert after(SMALL, KIND, "sockets", WHERE, seen_in="file", state="CLOSE") == []


@on_the_node
def test_not_on_the_node() -> None:
    """Listeners of Go programs are MPTCP sockets, which only their files show."""
    assert kind(NODE, KIND) == []
    listeners = [row for row in node(NODE)[0]["sockets"].to_pylist() if row["seen_in"] == "file"]
    assert any(row["state"] == "LISTEN" and row["protocol"] == "mptcp" for row in listeners)
